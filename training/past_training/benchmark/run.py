"""Towers against tasks: every tower embeds every patch once, and is regressed fold by fold."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version

import numpy as np
import torch

from napari_past import __version__
from napari_past.errors import PastError
from napari_past.model.encoding import device_of
from past_training.benchmark.patches import Embedded, PatchTower
from past_training.benchmark.probe import components_of, fitted, scores
from past_training.benchmark.recipe import Probe
from past_training.benchmark.result import (
    FITTED,
    OWN,
    HestRun,
    Row,
    TaskFacts,
    TaskScores,
    means_of,
)
from past_training.benchmark.task import Task

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "timm", "anndata", "h5py")


def run_benchmark(
    tasks: Sequence[Task],
    towers: Mapping[str, Callable[[], PatchTower]],
    probe: Probe,
    device: str = "auto",
    stated: Mapping[str, frozenset[str]] | None = None,
    told: Callable[[str], None] = lambda text: None,
) -> HestRun:
    """Measure towers on tasks; one that cannot be had is told in the result and passed over.

    Parameters
    ----------
    towers
        Name, and what makes it: towers are made one after the other, and only one is held.
    stated
        Tower → samples that the user says it was trained on.
    told
        Called with what is being done.

    Raises
    ------
    PastError
        None of the towers can be had; the first one's reason.
    """
    rows: list[Row] = []
    about = {}
    seen = {}
    unavailable: list[tuple[str, str]] = []
    for name, make in towers.items():
        try:
            told(name)
            tower = make()
            by_fit, own = {}, {}
            for task in tasks:
                told(f"  {task.name}: {sum(s.n for s in task.samples.values())} patches")
                genes = tower.own_genes(task.genes)
                found = {key: tower.embed(one, genes) for key, one in task.samples.items()}
                by_fit[task.name] = _fitted(task, found, probe)
                if genes:
                    own[task.name] = _own(task, found, genes)
        except PastError as exc:
            unavailable.append((name, str(exc)))
            continue
        about[name] = tower.about
        rows.append(Row(name, FITTED, by_fit))
        if own:
            rows.append(Row(name, OWN, own))
        samples = (stated or {}).get(name, frozenset())
        for task in tasks:
            seen[name, task.name] = tuple(
                key for key, one in sorted(task.samples.items())
                if key in samples or one.fingerprint in tower.about.fingerprints
            )  # fmt: skip
    if not rows:
        raise PastError(unavailable[0][1] if unavailable else "No tower was asked for.")
    return HestRun(
        tuple(rows),
        tuple(_facts(task) for task in tasks),
        about,
        {key: samples for key, samples in seen.items() if samples},
        tuple(unavailable),
        {
            "napari-past": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
        device_of(device).type,
        torch.get_num_threads(),
    )


def _fitted(task: Task, found: Mapping[str, Embedded], probe: Probe) -> TaskScores:
    lines, on_training, fewest = [], [], probe.components
    for fold in task.folds:
        train = np.concatenate([found[name].vectors for name in fold.train])
        test = np.concatenate([found[name].vectors for name in fold.test])
        measured = _measured(task, fold.train)
        model = fitted(train, measured, probe)
        lines.append(scores(model.predict(test), _measured(task, fold.test)))
        on_training.append(scores(model.predict(train), measured))
        fewest = min(fewest, components_of(probe, *train.shape))
    training_r = float(np.mean(means_of(np.stack(on_training))))
    return TaskScores(task.genes, np.stack(lines), fewest, training_r)


def _own(task: Task, found: Mapping[str, Embedded], genes: tuple[str, ...]) -> TaskScores:
    columns = [task.genes.index(gene) for gene in genes]
    lines = []
    for fold in task.folds:
        parts = [own for name in fold.test if (own := found[name].own) is not None]
        lines.append(scores(np.concatenate(parts), _measured(task, fold.test)[:, columns]))
    return TaskScores(genes, np.stack(lines))


def _measured(task: Task, names: Sequence[str]) -> np.ndarray:
    return np.concatenate([task.samples[name].measured for name in names])


def _facts(task: Task) -> TaskFacts:
    def patches(names: Sequence[str]) -> int:
        return sum(task.samples[name].n for name in names)

    return TaskFacts(
        task.name,
        tuple(task.samples),
        patches(tuple(task.samples)),
        len(task.genes),
        float(np.median((_measured(task, tuple(task.samples)) > 0).mean(0))),
        tuple((patches(fold.train), patches(fold.test), fold.test) for fold in task.folds),
        task.sha256,
    )

"""``past-train hest``: image towers on the HEST-Benchmark, by its own rules."""

from __future__ import annotations

import argparse
import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import PastError
from napari_past.files import check_writable
from past_training.benchmark.recipe import DEFAULT_RECIPE, HestRecipe, load_hest_recipe
from past_training.evaluation.output_files import check_free
from past_training.evaluation.typed import listed

if TYPE_CHECKING:
    from past_training.benchmark.patches import PatchTower


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``hest`` to the commands of past-train."""
    parser = commands.add_parser(
        "hest",
        help="measure image towers on the HEST-Benchmark, by its own rules",
        description="Writes a page with mean Pearson r of each tower on each task, and beside it r "
        "of every gene in every fold (NAME.genes.csv).",
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="holds a folder for each task"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="REPORT.md", help="the page to write"
    )
    parser.add_argument(
        "--recipe", default=DEFAULT_RECIPE, metavar="NAME|FILE.toml",
        help=f"what is read and regressed (default: {DEFAULT_RECIPE})",
    )  # fmt: skip
    parser.add_argument(
        "--tasks", type=_listed, metavar="A,B,…",
        help="default: all that lie in the folder; with --fetch the recipe's",
    )  # fmt: skip
    parser.add_argument(
        "--towers", type=_listed, metavar="A,B,…",
        help="resnet50, a name that past-train tower takes, or a model's name or file (default: "
        "those of the recipe)",
    )  # fmt: skip
    parser.add_argument(
        "--fetch", action="store_true", help="download the tasks into the folder first"
    )
    parser.add_argument(
        "--weights", type=_assigned, action="append", default=[], metavar="TOWER=FILE",
        help="weights of a published tower that lie here: of resnet50 as torchvision or timm has "
        "them, of others the model file that past-train tower wrote",
    )  # fmt: skip
    parser.add_argument(
        "--random", type=_listed, default=[], metavar="A,B,…",
        help="published towers whose weights are drawn by lot, for trials",
    )  # fmt: skip
    parser.add_argument(
        "--trained-on", type=_assigned, action="append", default=[], metavar="TOWER=SAMPLE,…",
        help="samples that a tower was trained on: the page says then that its figures are no "
        "evidence",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite a report that is there")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: Namespace) -> int:
    """Check everything, then embed, regress and write the report; 1 where a tower is missing."""
    if options.out.suffix.lower() != ".md":
        raise PastError(
            f"The report is Markdown (.md), but got {options.out.name!r}; give "
            f"{options.out.stem}.md."
        )
    recipe = load_hest_recipe(options.recipe)
    names = list(dict.fromkeys(options.towers or recipe.towers))
    weights = {name: Path(file).expanduser() for name, file in options.weights}
    stated = {
        name: frozenset(part.strip() for part in samples.split(","))
        for name, samples in options.trained_on
    }
    for option, towers in (
        ("--weights", list(weights)),
        ("--random", options.random),
        ("--trained-on", list(stated)),
    ):
        for name in towers:
            if name not in names:
                raise PastError(
                    f"{option} names {name!r}, which is none of the towers ({', '.join(names)}); "
                    f"add it to --towers, or leave it out."
                )
    check_writable(options.out)
    genes = options.out.with_suffix(".genes.csv")
    check_free((options.out, genes), [options.data, *weights.values()], options.force)
    tasks = _tasks(options, recipe)
    # Only now: torch, timm and anndata take many seconds to load.
    from napari_past.model.encoding import device_of
    from past_training.benchmark.page import warnings_of, write_run
    from past_training.benchmark.run import run_benchmark
    from past_training.benchmark.task import read_task
    from past_training.benchmark.tower_names import tower_maker

    device_of(options.device)
    # It tells of each attempt; what came of them is in the report.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    read = [read_task(options.data, name, recipe.data) for name in tasks]
    _check_samples(stated, {sample for task in read for sample in task.samples})
    makers: dict[str, Callable[[], PatchTower]] = {}
    for name in names:
        drawn = name in options.random
        makers[name] = tower_maker(name, recipe.data, options.device, weights.get(name), drawn)
    run = run_benchmark(read, makers, recipe.probe, options.device, stated, _tell)
    page, genes = write_run(run, recipe, options.out)
    for row in run.rows:
        for task, found in row.scores.items():
            print(f"{task}: {row.tower}, {row.how}: r {found.mean:.4f} ± {found.deviation:.4f}")
    for warning in warnings_of(run, recipe):
        print(warning)
    for name, why in run.unavailable:
        print(f"{name} was not measured: {why}", file=sys.stderr)
    print(f"{page} and {genes.name}")
    return 1 if run.unavailable else 0


def _tasks(options: Namespace, recipe: HestRecipe) -> Sequence[str]:
    asked: Sequence[str] | None = options.tasks
    if options.fetch:
        unknown = [task for task in asked or () if task not in recipe.data.tasks]
        if unknown:
            raise PastError(
                f"The recipe knows no task {unknown[0]} to fetch; give some of "
                f"{', '.join(recipe.data.tasks)}."
            )
        from past_training.benchmark.fetch import fetch_tasks

        tasks = asked or recipe.data.tasks
        commit = fetch_tasks(options.data, tasks, recipe.data.repository)
        _tell(f"{recipe.data.repository} at {commit}")
        return tasks
    from past_training.benchmark.task import tasks_in

    found = tasks_in(options.data)
    if not found:
        raise PastError(
            f"{options.data} holds no task of the HEST-Benchmark (TASK/splits/test_0.csv); give "
            f"the folder that does, or add --fetch to download them there."
        )
    return asked or found


def _check_samples(stated: Mapping[str, frozenset[str]], samples: set[str]) -> None:
    for name, seen in stated.items():
        for sample in sorted(seen - samples):
            raise PastError(
                f"--trained-on {name} names {sample!r}, which is no sample of these tasks; give "
                f"some of {', '.join(sorted(samples))}."
            )


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(listed(text)))


def _assigned(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise argparse.ArgumentTypeError(f"expected NAME=…, but got {text!r}")
    return name.strip(), value.strip()

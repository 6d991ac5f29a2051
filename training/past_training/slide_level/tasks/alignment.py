"""Alignment of patients held out: whose profile or report lies nearest to whose slides.

A network beside ridge regression from mean vectors. Shapes: m patients of a fold that have the
modality, G numbers of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting.fit import fit_network
from past_training.slide_level.fitting.options import FitOptions
from past_training.slide_level.fitting.prepared_target import Learned
from past_training.slide_level.fitting.targets import AlignTarget
from past_training.slide_level.tasks.bulk import ridge
from past_training.slide_level.tasks.held_out import FEWEST_HELD_OUT, Split

RECALLS = (1, 5, 10)
_Floats = npt.NDArray[np.floating]
_Ranks = npt.NDArray[np.float64]
_DRAWS = 500
_95 = 1.96


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Search of one modality by slides, or of slides by it."""

    modality: str
    by_slides: bool
    arms: tuple[str, ...]
    sizes: tuple[int, ...]
    """Patients among whom is searched, of each fold."""
    nearer: tuple[float, ...]
    """(arms,), share of the other patients who lie farther away than the right one; 0.5 by
    chance."""
    by_lot: tuple[tuple[float, float], ...]
    """(arms,), between what `nearer` lies by chance, 95 times of 100: see `by_lot`."""
    recall: tuple[tuple[float, ...], ...]
    """(RECALLS, arms), share of searches whose right one is among the first k."""
    median_rank: tuple[float, ...]
    """(arms,), 1 is best."""

    def chance(self, k: int) -> float:
        """Recall among the first k of an order by lot, averaged over folds as the figures are."""
        return float(np.mean([min(k, size) / size for size in self.sizes]))

    @property
    def chance_rank(self) -> float:
        """Median rank of an order by lot."""
        return float(np.mean([(size + 1) / 2 for size in self.sizes]))


def evaluate_alignment(
    learned: Learned,
    mean_vectors: npt.NDArray[np.float32],
    splits: tuple[Split, ...],
    options: FitOptions,
    on_fold: Callable[[str, int, int], None],
    cancelled: Callable[[], bool] | None,
) -> tuple[Retrieval, ...]:
    """Fit on all folds but one, search among the patients of that one, in turn.

    Parameters
    ----------
    mean_vectors
        (p, d) of the patients that are learned from.
    on_fold
        Told the arm, and how many folds of how many are done.

    Raises
    ------
    BadCohort
        No fold has enough patients with any modality.
    """
    target = learned.target
    assert isinstance(target, AlignTarget)
    arms = ("ridge on mean vectors", f"network: {options.pooling}")
    found: dict[tuple[str, bool], tuple[list[_Floats], list[_Floats]]] = {}
    for k, split in enumerate(splits):
        part = _only(target, split.train)
        bags = [learned.bags[i] for i in split.train]
        network = fit_network(bags, part, options, cancelled=cancelled)
        for modality, known in _searched(target, split):
            values = target.modalities[modality]
            slides = network.outputs([learned.bags[i] for i in known.test])
            likeness = slides @ network.aligned(modality, values[known.test]).T
            by_mean = _by_ridge(mean_vectors, values, known)
            for by_slides in (True, False):
                kept = found.setdefault((modality, by_slides), ([], []))
                for arm, alike in zip(kept, (by_mean, likeness), strict=True):
                    arm.append(alike if by_slides else alike.T)
        on_fold(arms[1], k + 1, len(splits))
    if not found:
        raise BadCohort(
            f"No fold has {FEWEST_HELD_OUT} patients with RNA or a report to search among; give "
            "fewer --folds, or add patients."
        )
    return tuple(_retrieval(*key, arms, alike, options.seed) for key, alike in found.items())


def ranked(likeness: _Floats) -> _Ranks:
    """Rank of the right one, (m,), in the search of each row; 1 is nearest, ties share their mean.

    Parameters
    ----------
    likeness
        (m, m), higher is nearer; the right ones are on the diagonal.
    """
    right = np.diagonal(likeness)[:, None]
    nearer, alike = (likeness > right).sum(1), (likeness == right).sum(1)
    return np.asarray(nearer + (alike + 1) / 2, np.float64)


def _only(target: AlignTarget, index: npt.NDArray[np.intp]) -> AlignTarget:
    rna, text = target.rna, target.text
    return AlignTarget(
        None if rna is None else rna[index], target.rna_genes, None if text is None else text[index]
    )


def _searched(target: AlignTarget, split: Split) -> Iterator[tuple[str, Split]]:
    """The patients of a fold that have a modality, where these are enough to search among."""
    for modality, values in target.modalities.items():
        there = np.asarray(np.isfinite(values).all(1))
        train, test = split.train[there[split.train]], split.test[there[split.test]]
        if len(test) >= FEWEST_HELD_OUT:
            yield modality, Split(split.name, train, test)


def _by_ridge(mean_vectors: npt.NDArray[np.float32], values: _Floats, split: Split) -> _Floats:
    """Cosine of what ridge says of a slide and what was measured, in deviations of the training
    patients: else the mean profile, which all share, would outweigh what tells them apart."""
    train = values[split.train].astype(np.float64)
    mean, deviation = train.mean(0), train.std(0)
    varies = deviation > 1e-6
    scaled = (values[:, varies] - mean[varies]) / deviation[varies]
    said = ridge(mean_vectors, scaled[split.train], np.zeros(int(varies.sum())), split)
    return _of_length_1(said) @ _of_length_1(scaled[split.test]).T


def _of_length_1(vectors: _Floats) -> _Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))


def by_lot(likeness: Sequence[_Floats], seed: int) -> tuple[float, float]:
    """Between what the share of others farther away lies by chance, 95 times of 100.

    Patients' pairs are drawn by lot within each fold, so that searches depend on each other as they
    do: whoever lies near to all is near in every search. The variance is doubled, since two
    patients of different folds count twice, once with either as the one that was fitted on.

    Parameters
    ----------
    likeness
        (m, m) of each fold.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        _over([_farther(alike[:, rng.permutation(len(alike))]) for alike in likeness])
        for _ in range(_DRAWS)
    ]
    half = _95 * float(np.sqrt(2) * np.std(drawn))
    return max(0.0, 0.5 - half), min(1.0, 0.5 + half)


def _retrieval(
    modality: str,
    by_slides: bool,
    arms: tuple[str, ...],
    likeness: tuple[list[_Floats], ...],
    seed: int,
) -> Retrieval:
    ranks = [[ranked(alike) for alike in arm] for arm in likeness]
    return Retrieval(
        modality=modality,
        by_slides=by_slides,
        arms=arms,
        sizes=tuple(len(alike) for alike in likeness[0]),
        nearer=tuple(_over([_farther(alike) for alike in arm]) for arm in likeness),
        by_lot=tuple(by_lot(arm, seed) for arm in likeness),
        recall=tuple(
            tuple(_over([float((rank <= k).mean()) for rank in arm]) for arm in ranks)
            for k in RECALLS
        ),
        median_rank=tuple(_over([float(np.median(rank)) for rank in arm]) for arm in ranks),
    )


def _farther(likeness: _Floats) -> float:
    others = len(likeness) - 1
    return float(((others + 1 - ranked(likeness)) / others).mean())


def _over(per_fold: Sequence[float]) -> float:
    return float(np.mean(per_fold))

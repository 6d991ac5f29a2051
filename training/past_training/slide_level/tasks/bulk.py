"""Bulk expression of patients held out: a network beside ridge on mean vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_past.validation.metrics import explained, pearson
from past_training.slide_level.fitting.fit import fit_network
from past_training.slide_level.fitting.options import FitOptions
from past_training.slide_level.fitting.prepared_target import Learned
from past_training.slide_level.fitting.targets import BulkTarget
from past_training.slide_level.tasks.held_out import Estimate, Split, estimates

ALPHAS = np.logspace(0, 6, 13)
_Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class BulkResult:
    """What each arm says of the genes of patients held out."""

    arms: tuple[str, ...]
    genes: tuple[str, ...]
    splits: tuple[Split, ...]
    r: tuple[Estimate, ...]
    """(arms,), mean over genes of Pearson's r within a fold; a constant prediction counts as 0."""
    r_gain: tuple[Estimate, ...]
    """(arms,), over the first arm."""
    explained_share: tuple[Estimate, ...]
    """(arms,), mean over genes of 1 − squared error / that of the training mean."""
    gene_r: npt.NDArray[np.float64]
    """(arms, G), mean over folds; NaN where a gene varies in none."""


def evaluate_bulk(
    learned: Learned,
    mean_vectors: npt.NDArray[np.float32],
    splits: tuple[Split, ...],
    options: FitOptions,
    on_fold: Callable[[str, int, int], None],
    cancelled: Callable[[], bool] | None,
) -> BulkResult:
    """Fit on all folds but one, predict that one, in turn.

    Parameters
    ----------
    mean_vectors
        (p, d) of the patients that are learned from.
    on_fold
        Told the arm, and how many folds of how many are done.
    """
    target = learned.target
    assert isinstance(target, BulkTarget)
    names = (f"network: {options.pooling}", "ridge on mean vectors")
    folds: list[list[_Floats]] = [[], []]
    means = []
    for k, split in enumerate(splits):
        part = BulkTarget(target.values[split.train], target.genes, target.unit)
        bags = [learned.bags[i] for i in split.train]
        network = fit_network(bags, part, options, cancelled=cancelled)
        folds[0].append(network.outputs([learned.bags[i] for i in split.test]))
        mean = np.nanmean(part.values, 0)
        folds[1].append(ridge(mean_vectors, part.values, mean, split))
        means.append(mean)
        on_fold(names[0], k + 1, len(splits))
    truth = [target.values[split.test] for split in splits]
    # Ridge is what a network has to beat, so it comes first.
    order = (names[1], names[0]), (folds[1], folds[0])
    values, gains = estimates(mean_r, truth, order[1], options.seed)
    shares = tuple(
        _shares([explained_share(p, t, m) for p, t, m in zip(arm, truth, means, strict=True)])
        for arm in order[1]
    )
    gene_r = np.array([_over_folds(arm, truth) for arm in order[1]])
    return BulkResult(order[0], target.genes, splits, values, gains, shares, gene_r)


def mean_r(predicted: _Floats, measured: npt.NDArray[np.generic]) -> float:
    """Mean over genes of r; NaN where no gene varies."""
    r = _gene_r(predicted, measured)
    return float(np.nanmean(r)) if np.isfinite(r).any() else np.nan


def explained_share(predicted: _Floats, measured: _Floats, mean: _Floats) -> float:
    """Mean over genes of 1 − squared error / squared error of the training mean; NaN for genes
    that the training mean gives exactly are left out."""
    error = np.asarray(np.nansum((predicted - measured) ** 2, 0, dtype=np.float64))
    of_mean = np.asarray(np.nansum((measured - mean) ** 2, 0, dtype=np.float64))
    varies = of_mean > 1e-12
    return float(np.mean(1 - error[varies] / of_mean[varies])) if varies.any() else np.nan


def _gene_r(predicted: _Floats, measured: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    truth = np.asarray(measured, np.float64)
    return explained(pearson(predicted, truth), truth)


def _over_folds(
    arm: list[_Floats], truth: list[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float64]:
    r = np.array([_gene_r(p, t) for p, t in zip(arm, truth, strict=True)])
    count = np.isfinite(r).sum(0)
    return np.where(count > 0, np.nansum(r, 0) / np.maximum(count, 1), np.nan)


def _shares(per_fold: list[float]) -> Estimate:
    values = np.array(per_fold)
    mean = float(np.nanmean(values)) if np.isfinite(values).any() else np.nan
    return Estimate(values, mean, np.nan, np.nan)


def ridge(
    mean_vectors: npt.NDArray[np.float32], values: _Floats, mean: _Floats, split: Split
) -> _Floats:
    """(m, G) of the patients held out; the penalty is chosen by leaving out one patient of the
    training fold at a time.

    Parameters
    ----------
    values
        (n, G) of the n patients of the training fold.
    mean
        (G,), in the place of what is missing.
    """
    model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
    model.fit(mean_vectors[split.train], np.where(np.isfinite(values), values, mean))
    return np.asarray(model.predict(mean_vectors[split.test])).reshape(len(split.test), -1)

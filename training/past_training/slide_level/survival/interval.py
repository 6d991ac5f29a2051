"""Averages over folds and what their intervals cover.

What is estimated: the C of this procedure, fitted on as many patients as a training fold has, among
new patients like these. Patients are resampled (stratified by event, the same resample for all
arms and repeats) with the fitted models held fixed, which gives the variance of the average over
folds. In folds of some tens of patients it is somewhat too large; the closed form of first order,
the infinitesimal jackknife, is too small with a few events a fold, so it is not used.

That knows nothing of the models' own chance, so the variance is doubled. The reason is one of
counting, given before anything is measured: where nothing can be learnt, a fold's C is (to first
order) a sum over pairs of a training and a held-out patient of how alike they are in covariates and
in outcome. Every pair of patients of different folds enters the average twice, once either way
round, with the same value, so the variance of the sum is twice what independent terms would give.
The same was seen for cross-validated errors by Nadeau and Bengio (Machine Learning 52, 2003), whose
factor, 1 + K/(K - 1) for K folds, is close to it. Where much is learnt, or a penalty leaves hardly
a model, models differ less between folds and the doubled variance is too wide: intervals err on
that side.

The percentile bootstrap, models fixed and nothing doubled, is told beside: it covers the average C
of these very models among new patients.

Repeats of the folds use the same patients in the same pairs: they steady the average and narrow
no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
BOTH_WAYS = 2.0
"""Of the variance: each pair of patients counts with either one as the one fitted on."""
_Z = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """An average over folds with its 95 % interval."""

    value: float
    """NaN where no fold defines it."""
    low: float
    high: float
    per_fold: tuple[float, ...]
    """In the order of the splits; NaN where a fold has no comparable pair."""
    bootstrap: tuple[float, float]
    """2.5 and 97.5 % points over resamples of patients, the fitted models held fixed."""

    @property
    def undefined(self) -> int:
        """How many folds are left out of the average."""
        return sum(math.isnan(v) for v in self.per_fold)


def resample_counts(event: npt.NDArray[np.bool_], resamples: int, seed: int) -> F64:
    """(b, p) how often each patient is drawn; as many with and without events as there are."""
    random = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(event)))
    for group in (np.flatnonzero(event), np.flatnonzero(~event)):
        if len(group):
            share = np.full(len(group), 1.0 / len(group))
            counts[:, group] = random.multinomial(len(group), share, size=resamples)
    return counts


def averaged(per_fold: F64, resampled: F64, repeat: npt.NDArray[np.intp], ratio: bool) -> Estimate:
    """The mean of the folds that are defined.

    Parameters
    ----------
    per_fold
        (k,) NaN where undefined.
    resampled
        (k, b) of each resample.
    repeat
        (k,) which repeat of the folds each belongs to.
    ratio
        Whether it lies between 0 and 1: the interval is then one of its logit.
    """
    told = tuple(float(v) for v in per_fold)
    defined = np.isfinite(per_fold)
    if not defined.any():
        return Estimate(math.nan, math.nan, math.nan, told, (math.nan, math.nan))
    value = float(per_fold[defined].mean())
    repeats = np.unique(repeat[defined])
    variance = np.mean([_means(resampled[defined & (repeat == r)]).var() for r in repeats])
    spread = _Z * math.sqrt(BOTH_WAYS * float(variance))
    low, high = np.quantile(_means(resampled[defined]), (0.025, 0.975))
    points = (float(low), float(high))
    if not ratio:
        return Estimate(value, value - spread, value + spread, told, points)
    if not 0 < value < 1:
        return Estimate(value, max(value - spread, 0.0), min(value + spread, 1.0), told, points)
    middle, half = math.log(value / (1 - value)), spread / (value * (1 - value))
    return Estimate(value, _expit(middle - half), _expit(middle + half), told, points)


def _means(resampled: F64) -> F64:
    """Over the folds that a resample defines; resamples that define none are left out."""
    known = np.isfinite(resampled)
    count = known.sum(axis=0)
    total = np.where(known, resampled, 0.0).sum(axis=0)
    return total[count > 0] / count[count > 0]


def _expit(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(value, -700.0), 700.0)))

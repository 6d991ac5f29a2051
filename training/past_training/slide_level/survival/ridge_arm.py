"""Cox's model with a ridge penalty on many numbers of a patient: the baseline of any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.arm import FittedCox
from past_training.slide_level.survival.cox import RiskSets, fit_cox, log_partial_likelihood
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation
from past_training.slide_level.survival.protocol import inner_splits

F64 = npt.NDArray[np.float64]
Source = Literal["mean", "summaries", "rna"]
COMPONENTS = 32
PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Per patient, of components with a mean square of 1: from hardly a model to hardly a penalty."""
_ABSENT = {
    "mean": "no mean vectors of cells; give a folder of `past-train slide prepare`",
    "summaries": "no summaries of cells; give a folder of `past-train slide prepare`",
    "rna": "no measured RNA; prepare it with --rna",
}


@dataclass(frozen=True)
class RidgeArm:
    """Principal components of the training fold, then a penalty chosen by inner folds.

    The penalty maximises the cross-validated partial likelihood (Verweij and van Houwelingen,
    Statistics in Medicine 12, 1993), which compares no scores of different fits.
    """

    source: Source
    inner: int = 3

    @property
    def name(self) -> str:
        """As ``mean-ridge``."""
        return f"{self.source}-ridge"

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedCox:
        """The seed draws the inner folds."""
        values, told = _numbers(data, self.source, train)
        components = _components(values, train)
        if not components.shape[1]:
            told = (
                *told,
                f"All patients of a training fold have the same {self.source} values, so there "
                "is nothing to learn and everybody has one risk.",
            )
        penalty = _penalty(components, data, train, self.inner, seed)
        x = components[train]
        fit = fit_cox(x, data.time[train], data.event[train], penalty)
        return FittedCox(components @ fit.beta, fit.baseline, told)


def _numbers(data: SurvivalData, source: Source, train: Indices) -> tuple[F64, tuple[str, ...]]:
    """(p, d) without gaps: what a patient lacks is the training fold's mean."""
    if source == "mean":
        given = data.mean_vectors
    elif source == "summaries":
        given = None if data.summaries is None else data.summaries.to_numpy(np.float64)
    else:
        given = None if data.rna is None else _levelled(data.rna)
    if given is None:
        raise BadEvaluation(f"The arm {source}-ridge finds {_ABSENT[source]}.")
    values = np.asarray(given, np.float64)
    known = np.isfinite(values)
    if known.all():
        return values, ()
    count = known[train].sum(axis=0)
    mean = np.where(known[train], values[train], 0.0).sum(axis=0) / np.maximum(count, 1)
    lacking = int((~known.all(axis=1)).sum())
    told = f"{lacking} patients lack some or all {source} values; they count as a training mean."
    return np.where(known, values, mean), (told,)


def _levelled(rna: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logarithms of counts; what has values below 0 are logarithms or deviations already."""
    return rna if (rna < 0).any() else np.log1p(rna)


def _components(values: F64, train: Indices) -> F64:
    """(p, k) scores of the training fold's principal components, the first with mean square 1.

    The columns are standardised before; components keep their relative sizes, so that the penalty
    shrinks directions with little variance most.
    """
    mean, deviation = values[train].mean(axis=0), values[train].std(axis=0)
    scaled = (values - mean) / np.where(deviation > 1e-9, deviation, np.inf)
    own = scaled[train]
    # The smaller of both products has the same components.
    if own.shape[0] < own.shape[1]:
        size, left = np.linalg.eigh(own @ own.T)
        order = np.argsort(size)[::-1][:COMPONENTS]
        size, left = size[order], left[:, order]
        kept = size > 1e-9 * max(float(size[0]), 1e-300)
        axes = own.T @ left[:, kept] / np.sqrt(size[kept])
    else:
        size, vectors = np.linalg.eigh(own.T @ own)
        order = np.argsort(size)[::-1][:COMPONENTS]
        size, vectors = size[order], vectors[:, order]
        kept = size > 1e-9 * max(float(size[0]), 1e-300)
        axes = vectors[:, kept]
    if not kept.any():
        return np.zeros((len(values), 0))
    return scaled @ axes / np.sqrt(size[0] / len(train))


def _penalty(x: F64, data: SurvivalData, train: Indices, inner: int, seed: int) -> float:
    if not x.shape[1] or data.event[train].sum() < 2:
        return PENALTIES[0]
    gained = np.zeros(len(PENALTIES))
    everyone = RiskSets(data.time[train], data.event[train])
    for fitted_on, _ in inner_splits(data, train, inner, seed):
        if not data.event[fitted_on].any():
            continue
        sets = RiskSets(data.time[fitted_on], data.event[fitted_on])
        beta = np.zeros(x.shape[1])
        for i, penalty in enumerate(PENALTIES):
            own = x[fitted_on]
            beta = fit_cox(
                own, data.time[fitted_on], data.event[fitted_on], penalty, beta, sets
            ).beta
            gained[i] += log_partial_likelihood(everyone, x[train] @ beta)
            gained[i] -= log_partial_likelihood(sets, own @ beta)
    return PENALTIES[int(np.argmax(gained))]

"""Who is held out, and what an average over folds is worth.

Shapes: m patients of a fold, G columns of what is predicted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import KFold, StratifiedKFold

from past_training.slide_level.cohort.errors import BadCohort

By = Literal["folds", "sites", "column"]
Indices = npt.NDArray[np.intp]
F64 = npt.NDArray[np.float64]

RESAMPLES = 200
FEWEST_HELD_OUT = 3
"""Patients of a fold: of two, any correlation is 1 or −1."""


class Split(NamedTuple):
    """One fold."""

    name: str
    train: Indices
    test: Indices


def splits(
    patients: int,
    by: By,
    folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> tuple[Split, ...]:
    """All folds: of patients at random, or each group whole in turn.

    Parameters
    ----------
    groups
        (p,) site or given fold of each patient.
    labels
        (p,) which folds shall have equal shares of.

    Raises
    ------
    BadCohort
        Too few patients, or no groups.
    """
    everyone = np.arange(patients)
    if by == "folds":
        if not 2 <= folds <= patients // FEWEST_HELD_OUT:
            raise BadCohort(
                f"{patients} patients do not fill {folds} folds of {FEWEST_HELD_OUT}; give --folds "
                f"from 2 to {max(2, patients // FEWEST_HELD_OUT)}, or add patients."
            )
        if labels is None:
            drawn = KFold(folds, shuffle=True, random_state=seed).split(everyone)
        else:
            rarest = min(labels.count(label) for label in set(labels))
            if rarest < folds:
                raise BadCohort(
                    f"The rarest class has {rarest} patients, so that {folds} folds cannot all "
                    f"have one; give a lower --folds, or leave the task out."
                )
            made = StratifiedKFold(folds, shuffle=True, random_state=seed)
            drawn = made.split(everyone, list(labels))
        return tuple(Split(f"fold {k + 1}", *pair) for k, pair in enumerate(drawn))
    if groups is None or len(set(groups)) < 2:
        raise BadCohort(
            f"There are no two {'sites' if by == 'sites' else 'folds'} in the table to hold out in "
            f"turn; prepare it with --{'site' if by == 'sites' else 'fold'}, or use random folds."
        )
    names = np.array(groups)
    return tuple(
        Split(name, everyone[names != name], everyone[names == name])
        for name in sorted(set(groups))
    )


@dataclass(frozen=True, eq=False)
class Estimate:
    """A figure, averaged over folds."""

    per_fold: F64
    """NaN where it is not defined in a fold."""
    value: float
    low: float
    high: float
    """Percentiles 2.5 and 97.5 of patients drawn with replacement within each fold, fitted models
    as they are: what other patients would have given, not what other training would have."""


Figure = Callable[[npt.NDArray[np.floating], npt.NDArray[np.generic]], float]


def estimates(
    figure: Figure,
    truth: Sequence[npt.NDArray[np.generic]],
    arms: Sequence[Sequence[npt.NDArray[np.floating]]],
    seed: int,
) -> tuple[tuple[Estimate, ...], tuple[Estimate, ...]]:
    """The figure of each arm, and by how much each is above the first.

    Figures are of single folds, then averaged: predictions of different models are never pooled.

    Parameters
    ----------
    figure
        Of predictions (m, G) and what was measured (m, …).
    truth
        Of each fold.
    arms
        Predictions of each arm in each fold.
    """
    rng = np.random.default_rng(seed)
    whole = np.array([[figure(p, t) for p, t in zip(arm, truth, strict=True)] for arm in arms])
    drawn = np.full((RESAMPLES, *whole.shape), np.nan)
    for draw in drawn:
        for k, measured in enumerate(truth):
            # The same patients for all arms, so that gains are paired.
            rows = rng.integers(len(measured), size=len(measured))
            draw[:, k] = [figure(arm[k][rows], measured[rows]) for arm in arms]
    values = tuple(_estimate(whole[a], drawn[:, a]) for a in range(len(arms)))
    above, drawn_above = whole - whole[:1], drawn - drawn[:, :1]
    gains = tuple(_estimate(above[a], drawn_above[:, a]) for a in range(len(arms)))
    return values, gains


def _estimate(per_fold: F64, drawn: F64) -> Estimate:
    known = np.isfinite(per_fold)
    if not known.any():
        return Estimate(per_fold, np.nan, np.nan, np.nan)
    # A resample in which a fold has no figure counts with the folds that have one.
    sums, counts = np.nansum(drawn[:, known], 1), np.isfinite(drawn[:, known]).sum(1)
    means = sums[counts > 0] / counts[counts > 0]
    low, high = np.quantile(means, (0.025, 0.975)) if len(means) else (np.nan, np.nan)
    return Estimate(per_fold, float(per_fold[known].mean()), float(low), float(high))

"""What an evaluation found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.interval import Estimate
from past_training.slide_level.survival.protocol import Protocol, Split

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Of predicted probabilities, averaged over folds."""

    auc: tuple[float, ...]
    """At each of the result's times."""
    auc_folds: tuple[int, ...]
    """In how many folds each is defined."""
    brier: tuple[float, ...]
    integrated_brier: float
    """Mean of the Brier score from 0 to tau."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted against observed survival at one time, of held-out patients.

    Probabilities of different folds have one meaning, so they may stand together; scores may not.
    """

    time: float
    predicted: tuple[float, ...]
    """Mean of each group of patients, ordered by what was predicted."""
    observed: tuple[float, ...]
    """Kaplan and Meier's estimate in each."""
    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[int, ...]
    slope: float
    """Of log cumulative hazards as predicted, in a Cox model stratified by fold: 1 is right, below
    1 predictions are too extreme. NaN where an arm predicts one risk for all."""
    expected: float
    """Mean predicted chance of an event until then."""
    seen: float
    """Kaplan and Meier's."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Held-out patients above and below a cut-point of their training fold."""

    high: npt.NDArray[np.bool_]
    """(p,)."""
    statistic: float
    """Of the log-rank test stratified by fold, with one degree of freedom; NaN without two groups
    in some fold."""
    p_value: float
    """Of half the statistic: see `groups`."""


@dataclass(frozen=True, eq=False)
class ArmResult:
    """One row of the table."""

    name: str
    harrell: Estimate
    uno: Estimate
    gain: Estimate | None
    """Harrell's C less the first arm's, in the same folds and resamples; None of the first."""
    uno_gain: Estimate | None
    accuracy: Accuracy | None
    calibration: Calibration | None
    groups: Groups | None
    told: tuple[str, ...]
    """What is to be minded, with the number of folds."""


@dataclass(frozen=True, eq=False)
class SurvivalResult:
    """All arms in the same folds."""

    protocol: Protocol
    splits: tuple[Split, ...]
    tau: float
    times: tuple[float, ...]
    arms: tuple[ArmResult, ...]
    reference: Accuracy | None
    """Of the training folds' Kaplan-Meier curve: the same for every patient."""
    notes: tuple[str, ...] = ()

    def arm(self, name: str) -> ArmResult:
        """The row of this name."""
        return next(arm for arm in self.arms if arm.name == name)

"""Whether predicted probabilities come true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.censoring import survival_curve
from past_training.slide_level.survival.cox import RiskSets, log_partial_likelihood
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.result import Calibration

if TYPE_CHECKING:
    from past_training.slide_level.survival.evaluate import Held

F64 = npt.NDArray[np.float64]
GROUPS = 4
_Z = 1.959963984540054


def calibration(data: SurvivalData, held: Sequence[Held], grid: F64, times: F64) -> Calibration:
    """At the middle one of `times`; of the first repeat."""
    time = float(times[len(times) // 2])
    at = int(np.searchsorted(grid, time))
    first = [answer for answer in held if answer.split.repeat == 0]
    predicted = np.full(len(data), np.nan)
    for answer in first:
        predicted[answer.split.test] = answer.survival[:, at]
    known = np.flatnonzero(np.isfinite(predicted))
    order = known[np.argsort(predicted[known], kind="stable")]
    rows = []
    for group in np.array_split(order, GROUPS):
        if len(group):
            rows.append((float(predicted[group].mean()), *_observed(data, group, time), len(group)))
    columns = list(zip(*rows, strict=True))
    return Calibration(
        time,
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        columns[4],
        _slope(data, first, predicted),
        1.0 - float(predicted[known].mean()),
        1.0 - _observed(data, known, time)[0],
    )


def _observed(
    data: SurvivalData, group: npt.NDArray[np.intp], time: float
) -> tuple[float, float, float]:
    """Kaplan and Meier's estimate with its 95 % interval (Greenwood, on the scale log(-log))."""
    curve = survival_curve(data.time[group], data.event[group])
    value = float(curve.at(np.array([time]))[0])
    if not 0 < value < 1:
        return value, value, value
    before = np.concatenate(([1.0], curve.value))[:-1]
    until = curve.time <= time
    dying = 1.0 - np.divide(curve.value, before, out=np.ones_like(before), where=before > 0)
    left = curve.at_risk * (1.0 - dying)
    terms = np.divide(dying, left, out=np.zeros_like(left), where=left > 0)
    width = _Z * np.sqrt(terms[until].sum()) / abs(np.log(value))
    return value, float(value ** np.exp(width)), float(value ** np.exp(-width))


def _slope(data: SurvivalData, held: Sequence[Held], predicted: F64) -> float:
    """Of log(-log survival) in a Cox model stratified by fold (van Houwelingen, 2000)."""
    strata = []
    for answer in held:
        test = answer.split.test
        x = np.log(-np.log(np.clip(predicted[test], 1e-12, 1 - 1e-12)))
        if data.event[test].any() and np.ptp(x) > 1e-9:
            strata.append((RiskSets(data.time[test], data.event[test]), x - x.mean()))
    if not strata:
        return float("nan")

    def value(slope: float) -> float:
        return sum(log_partial_likelihood(sets, slope * x) for sets, x in strata)

    # The likelihood is concave: a golden section between slopes that nobody meets finds its top.
    low, high = -20.0, 20.0
    golden = (np.sqrt(5.0) - 1) / 2
    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (left, high) if value(left) < value(right) else (low, right)
    middle = (low + high) / 2
    return float(middle) if abs(middle) < 19.9 else float("nan")

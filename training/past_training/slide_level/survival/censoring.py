"""How long patients were followed: the censoring distribution and weights of its inverse.

Weights of events take the limit from the left, P(not censored before t): who has an event at the
time at which another is censored was not censored. torchsurv 0.2 and scikit-survival 0.28 take the
value at t (Uno et al., 2011, write it so for times without ties); both agree with this wherever no
event ties with a censored time, and with each other everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StepCurve:
    """A product-limit estimate (Kaplan and Meier, 1958)."""

    time: F64
    """Ascending, distinct."""
    value: F64
    """From each time on."""
    at_risk: npt.NDArray[np.intp]
    """Just before each time."""

    def at(self, times: F64) -> F64:
        """The curve's value at each time; 1 before its first step."""
        return np.concatenate(([1.0], self.value))[np.searchsorted(self.time, times, side="right")]

    def before(self, times: F64) -> F64:
        """The limit from the left."""
        return np.concatenate(([1.0], self.value))[np.searchsorted(self.time, times, side="left")]


def survival_curve(time: F64, event: Bool) -> StepCurve:
    """Share of patients without an event."""
    steps, place = np.unique(time, return_inverse=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), steps, side="left")
    seen = np.bincount(place[event], minlength=len(steps))
    value = np.cumprod(1.0 - seen / at_risk, dtype=np.float64)
    return StepCurve(steps, value, at_risk)


def censoring_curve(time: F64, event: Bool) -> StepCurve:
    """Share of patients who were not censored; at one time, events come before censoring."""
    steps, place = np.unique(time, return_inverse=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), steps, side="left")
    seen = np.bincount(place[event], minlength=len(steps))
    left = at_risk - seen
    lost = np.bincount(place[~event], minlength=len(steps))
    ratio = np.divide(lost, left, out=np.zeros(len(steps)), where=left > 0)
    return StepCurve(steps, np.cumprod(1.0 - ratio), left)


def inverse_weights(curve: StepCurve, time: F64, event: Bool) -> F64:
    """(m,) 1 / P(not censored before t) of events; 0 of others, and where that share is 0."""
    share = curve.before(time)
    return np.divide(1.0, share, out=np.zeros(len(time)), where=event & (share > 0))

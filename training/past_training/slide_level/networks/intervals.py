"""Time in intervals: what is known of a patient in each, and curves from the hazards of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Intervals:
    """K intervals from 0 to the last event that was seen; each holds its end, not its beginning."""

    ends: FloatArray
    """(K,), ascending, above 0, in the unit of the times."""

    @classmethod
    def of_events(cls, time: FloatArray, event: npt.NDArray[np.bool_], count: int) -> Intervals:
        """At most `count` intervals with about as many events each.

        Parameters
        ----------
        time, event
            (p,) of the patients that are learned from; at least one event.
        """
        # "higher": an end is a time at which an event was seen, and the last is the last one.
        shares = np.arange(1, count + 1) / count
        return cls(np.unique(np.quantile(time[event], shares, method="higher")))

    def coded(
        self, time: FloatArray, event: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Whether each patient survived each interval, and died in it: float32 (p, K) twice.

        Who was censored counts as having survived an interval if seen for half of it
        (Gensheimer & Narasimhan 2019); who died after the last interval survived all.
        """
        middles = (self.starts + self.ends) / 2
        survived = np.where(event[:, None], time[:, None] > self.ends, time[:, None] >= middles)
        place = np.searchsorted(self.ends, time, side="left")
        died = event[:, None] & (place[:, None] == np.arange(len(self.ends)))
        return survived.astype(np.float32), died.astype(np.float32)

    def survival(self, logits: npt.NDArray[np.floating], times: FloatArray) -> FloatArray:
        """Probability to live longer than each time, float64 (p, t).

        Within an interval the hazard is spread evenly over its time; after the last one nothing is
        known, and the curve stays where it was.

        Parameters
        ----------
        logits
            (p, K) of the hazards.
        """
        # log(1 - sigmoid(x)), without a difference of nearly equal numbers
        log_survived = -np.logaddexp(0.0, logits.astype(np.float64))
        at_ends = np.concatenate([np.zeros((len(logits), 1)), log_survived.cumsum(1)], 1)
        knots = np.concatenate([[0.0], self.ends])
        return np.exp(np.stack([np.interp(times, knots, row) for row in at_ends]))

    def mean_lifetime(self, logits: npt.NDArray[np.floating]) -> FloatArray:
        """Mean time to live up to the last end, float64 (p,): the area under the curve, trapezia
        between ends."""
        knots = np.concatenate([[0.0], self.ends])
        return np.trapezoid(self.survival(logits, knots), knots, axis=1)

    @property
    def starts(self) -> FloatArray:
        """(K,)."""
        return np.concatenate([[0.0], self.ends[:-1]])

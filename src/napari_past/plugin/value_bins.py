"""Values of a marker over some cells, in bins that a histogram draws. Knows no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import Cutoffs, FloatArray

BINS = 80
PERCENTILES = (0.1, 99.9)
"""Of the values that an axis spans; a few far ones would squeeze all others together."""
_MARGIN = 0.04
_FEWEST_TICKS = 3
_STEPS_ALONG = 200


@dataclass(frozen=True)
class ValueAxis:
    """The part of the values' scale that is drawn, in their unit."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"An axis needs two ascending ends, but got {self.low}, {self.high}.")

    def share(self, value: float) -> float:
        """How far along a value lies, 0 to 1; values beyond an end lie at it."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def value(self, share: float) -> float:
        """The value so far along, 0 to 1."""
        return self.low + share * (self.high - self.low)

    @property
    def ticks(self) -> tuple[float, ...]:
        """A few round numbers between the ends, ascending."""
        step = _round_step((self.high - self.low) / _FEWEST_TICKS)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return tuple(round(i * step, 12) for i in range(first, last + 1))

    @property
    def step(self) -> float:
        """A small round number: what one key press moves a line by."""
        return _round_step((self.high - self.low) / _STEPS_ALONG)


@dataclass(frozen=True)
class ValueBins:
    """How many cells have which values."""

    axis: ValueAxis
    counts: npt.NDArray[np.int64]
    """(BINS,), along the axis, each as wide as the others."""
    below: int
    """Cells whose value lies before the axis."""
    above: int

    @property
    def n(self) -> int:
        """Cells that have a value."""
        return int(self.counts.sum()) + self.below + self.above

    @property
    def beyond(self) -> str:
        """How many cells are not drawn, one sentence; empty where all are."""
        beyond = self.below + self.above
        return f"{beyond:,} of {self.n:,} values lie beyond the axis." if beyond else ""


def value_axis(values: FloatArray, cutoffs: Cutoffs) -> ValueAxis:
    """An axis that holds nearly all values and three cut-offs.

    Parameters
    ----------
    values
        (n,), NaN is left out.
    cutoffs
        Those of the model's card, so that the axis does not depend on what is dragged.
    """
    ends = [cutoffs.weak, cutoffs.strong]
    finite = values[np.isfinite(values)]
    if finite.size:
        ends += np.percentile(finite, PERCENTILES).tolist()
    low, high = min(ends), max(ends)
    margin = _MARGIN * (high - low)
    return ValueAxis(low - margin, high + margin)


def value_bins(values: FloatArray, axis: ValueAxis) -> ValueBins:
    """The values (n,) in bins along an axis; NaN is left out."""
    counts, _ = np.histogram(values, bins=BINS, range=(axis.low, axis.high))
    below, above = int((values < axis.low).sum()), int((values > axis.high).sum())
    return ValueBins(axis, counts.astype(np.int64), below, above)


def _round_step(raw: float) -> float:
    """The largest of 1, 2 or 5 times a power of ten that is not above `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return max(s * power for s in (1, 2, 5) if s * power <= raw * (1 + 1e-9))

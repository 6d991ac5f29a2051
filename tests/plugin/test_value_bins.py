from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.plugin.value_bins import BINS, ValueAxis, value_axis, value_bins
from napari_past.types import Cutoffs

CUTOFFS = Cutoffs(1.0, 2.0, 3.0, "card")


def test_every_value_is_counted_once() -> None:
    axis = ValueAxis(0.0, 80.0)
    values = np.array([-1, 0, 0.5, 1, 79.9, 80, 80.1, np.nan, np.inf], np.float32)
    bins = value_bins(values, axis)
    assert bins.counts[0] == 2
    assert bins.counts[1] == 1
    assert bins.counts[-1] == 2
    assert (bins.below, bins.above, bins.n) == (1, 2, 8)
    assert bins.beyond == "3 of 8 values lie beyond the axis."
    assert len(bins.counts) == BINS


def test_no_values_are_an_empty_histogram() -> None:
    axis = value_axis(np.full(3, np.nan, np.float32), CUTOFFS)
    bins = value_bins(np.zeros(0, np.float32), axis)
    assert bins.n == 0
    assert bins.beyond == ""
    assert axis.low < CUTOFFS.weak < CUTOFFS.strong < axis.high


def test_a_far_value_does_not_stretch_the_axis() -> None:
    values = np.append(np.linspace(0, 4, 10_000), 1e6)
    axis = value_axis(values, CUTOFFS)
    assert -0.5 < axis.low < 0
    assert 4 < axis.high < 4.5
    # cut-offs of the card beyond all values are on it
    assert value_axis(values, Cutoffs(1, 2, 9, "card")).high > 9


def test_places_along_the_axis() -> None:
    axis = ValueAxis(-1.0, 3.0)
    npt.assert_allclose([axis.share(v) for v in (-1, 0, 3)], [0, 0.25, 1])
    assert axis.share(99) == 1
    assert axis.value(0.25) == 0


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(-0.1, 3.2, (0, 1, 2, 3)), (0.0, 0.045, (0, 0.01, 0.02, 0.03, 0.04)), (7.0, 7.4, None)],
)
def test_ticks_are_few_and_round(low: float, high: float, ticks: tuple | None) -> None:
    found = ValueAxis(low, high).ticks
    assert 3 <= len(found) <= 8
    if ticks is not None:
        npt.assert_allclose(found, ticks)
    assert all(low <= tick <= high for tick in found)


def test_an_axis_needs_two_ends() -> None:
    with pytest.raises(ValueError, match="ascending"):
        ValueAxis(1.0, 1.0)

import numpy as np
import pytest

from napari_past.errors import MissingCutoffs
from napari_past.stain import classes, quantile_cutoffs
from napari_past.types import Cutoffs

CUTOFFS = Cutoffs(0.2, 0.4, 0.7, "given")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_value_on_a_cutoff_reaches_it_in_every_precision(dtype):
    values = np.array([0.2, 0.4, 0.7], dtype)
    assert classes(values, CUTOFFS).tolist() == [1, 2, 3]
    assert classes(np.nextafter(values, dtype(0)), CUTOFFS).tolist() == [0, 1, 2]


def test_classes_of_plain_missing_and_infinite_values():
    found = classes([0.0, -3.0, 0.3, np.nan, 9.0, np.inf, -np.inf], CUTOFFS)
    assert found.tolist() == [0, 0, 1, -1, 3, 3, 0]
    assert found.dtype == np.int8


def test_classes_of_nothing():
    assert classes(np.zeros(0, np.float32), CUTOFFS).shape == (0,)


def test_quantile_cutoffs_interpolate_and_leave_nan_out():
    values = np.append(np.arange(11, dtype=np.float32), np.nan)
    cutoffs = quantile_cutoffs(values, (0.5, 0.75, 0.95), "quantiles of this slide")
    assert cutoffs.values == pytest.approx((5.0, 7.5, 9.5))
    assert cutoffs.source == "quantiles of this slide"


@pytest.mark.parametrize("values", [np.zeros(50), [], [np.nan]], ids=["equal", "none", "nan"])
def test_quantiles_that_are_not_ascending_are_refused(values):
    with pytest.raises(MissingCutoffs, match="not three ascending cut-offs; give cut-offs"):
        quantile_cutoffs(values, (0.5, 0.75, 0.95), "x")

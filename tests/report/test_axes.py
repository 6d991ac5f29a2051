"""Axes of small plots."""

from __future__ import annotations

import pytest

from napari_past.report.axes import Axes


@pytest.mark.parametrize(("low", "high"), [(-3e38, 3e38), (0.0, 1e-300)])
def test_any_numbers_have_axes(low, high):
    axes = Axes([low, high], [0, 1], ("x", "y"))
    assert 62 <= axes.x(low) < axes.x(high) <= 446
    assert axes.svg("t").count("<text") >= 8

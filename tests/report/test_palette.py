"""Colours of values."""

from __future__ import annotations

import numpy as np

from napari_past.report.palette import DIVERGING, colours


def test_colours_run_from_low_to_high():
    ends = colours(np.array([-1.0, 0, 1, 2]), 0, 1).tolist()
    assert ends == [[68, 1, 84]] * 2 + [[253, 231, 37]] * 2


def test_nothing_left_over_is_grey():
    red, green, blue = colours(np.array([0.0]), -2, 2, DIVERGING)[0].tolist()
    assert red == green == blue

"""Landmark pairs: the map they make, how far they are off, and their file."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.errors import PastError
from napari_past.plugin.measured.landmarks import Landmarks, no_landmarks, shown_at
from napari_past.spatial.landmarks import read_landmarks
from napari_past.types import Rect

ON_ROWS = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]])
TURN = np.array([[0.0, -2.0], [2.0, 0.0]])
"""A quarter turn that doubles lengths."""
ON_SLIDE = ON_ROWS @ TURN.T + (500.0, 50.0)


def picked(n: int, on_slide: np.ndarray = ON_SLIDE) -> Landmarks:
    found = no_landmarks()
    for k in range(n):
        found = found.with_place(True, on_slide[k]).with_place(False, ON_ROWS[k])
    return found


def test_three_pairs_make_a_map_and_four_tell_how_far_it_is_off():
    assert picked(2).affine is None
    assert "2 of at least 3 pairs" in picked(2).sentence
    three = picked(3)
    npt.assert_allclose(three.affine(ON_ROWS), ON_SLIDE, atol=1e-9)
    assert len(three.residuals_um) == 0
    assert "give four" in three.sentence
    # A corner that is 4 µm off pulls all four corners of the square by 1 µm each.
    wrong = ON_SLIDE.copy()
    wrong[3, 0] += 4.0
    four = picked(4, wrong)
    npt.assert_allclose(four.residuals_um, 1.0, atol=1e-9)
    assert "off by 1.0 µm" in four.sentence
    assert "4: 1.0" in four.sentence


def test_pairs_on_one_line_make_no_map():
    line = np.array([[0.0, 0.0], [10.0, 10.0], [20.0, 20.0]])
    found = Landmarks(line, line)
    assert found.affine is None
    assert "on one line" in found.sentence


def test_the_last_one_is_taken_back_on_the_side_that_has_more():
    found = picked(2).with_place(True, np.array([1.0, 2.0]))
    assert found.pairs == 2
    found = found.without_last()
    assert (len(found.on_slide_um), len(found.on_rows_um)) == (2, 2)
    found = found.without_last()
    assert (len(found.on_slide_um), len(found.on_rows_um)) == (1, 1)
    assert len(no_landmarks().without_last().on_slide_um) == 0


def test_the_file_is_read_as_the_same_map(tmp_path):
    four = picked(4).with_place(True, np.array([7.0, 7.0]))  # a fifth without its counterpart
    four.write(tmp_path / "pairs.csv")
    back = read_landmarks(tmp_path / "pairs.csv", onto="predicted")
    assert back.landmarks == 4
    npt.assert_allclose(back(ON_ROWS), ON_SLIDE, atol=2e-3)
    with pytest.raises(PastError):
        four.write(tmp_path / "no" / "such" / "folder.csv")


def test_what_lies_elsewhere_is_shown_in_the_middle_of_the_slide():
    bounds = Rect(0, 0, 1000, 500)
    here = shown_at(ON_ROWS + 50, bounds)
    npt.assert_allclose(here(ON_ROWS), ON_ROWS)
    there = shown_at(ON_ROWS - 7000, bounds)(ON_ROWS - 7000)
    npt.assert_allclose(there.mean(axis=0), (500, 250))
    npt.assert_allclose(np.ptp(there, axis=0), 450)

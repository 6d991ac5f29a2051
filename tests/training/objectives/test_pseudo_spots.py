"""Pooling of single cells to spots."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import PastError
from past_training.objectives import pseudo_spots

UM = np.array([[10.0, 20.0], [14.0, 20.0], [30.0, 20.0], [10.0, 63.0], [50.0, 64.0]])
COUNTS = csr_array(np.array([[1, 0], [2, 5], [9, 9], [0, 4], [7, 0]], np.float32))


def test_cells_go_to_the_spot_they_lie_in():
    """Spots of 10 µm every 20 µm from (10, 20): the first two cells share one, the third lies on
    the spot at (30, 20), the fourth 3 µm below that at (10, 60), the fifth 4 µm below (50, 60)."""
    spots = pseudo_spots(COUNTS, UM, 10.0, 20.0)
    assert spots.spot_of_cell.tolist() == [0, 0, 2, 1, 3]
    assert spots.um.tolist() == [[10, 20], [10, 60], [30, 20], [50, 60]]
    assert spots.counts.toarray().tolist() == [[3, 5], [0, 4], [9, 9], [7, 0]]


def test_cells_between_spots_belong_to_none():
    spots = pseudo_spots(COUNTS, UM, 6.0, 20.0)
    assert spots.spot_of_cell.tolist() == [0, -1, 2, 1, -1]
    assert spots.counts.sum() == 1 + 18 + 4


def test_pitch_of_visium():
    um = np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 0.0]])
    spots = pseudo_spots(csr_array(np.ones((3, 1), np.float32)), um, 55.0)
    assert spots.um.tolist() == [[0, 0], [100, 0]]
    assert spots.spot_of_cell.tolist() == [0, 1, -1]


@pytest.mark.parametrize("diameter", [0.0, 30.0])
def test_overlapping_spots(diameter):
    with pytest.raises(PastError, match="overlap"):
        pseudo_spots(COUNTS, UM, diameter, 20.0)


def test_no_cell():
    with pytest.raises(PastError, match="None of 0 cells"):
        pseudo_spots(csr_array((0, 2), dtype=np.float32), np.zeros((0, 2)), 10.0)

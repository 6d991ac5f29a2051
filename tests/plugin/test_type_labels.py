"""Where nuclei and bins are drawn."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.plugin.outline_labels import drawn_cells, field_grid
from napari_past.plugin.type_labels import bin_um_of, binned_labels
from napari_past.types import Outlines, PixelGrid, Rect


def test_a_nucleus_is_filled_where_it_lies() -> None:
    square = np.array([[10.25, 20.25], [14.25, 20.25], [14.25, 26.25], [10.25, 26.25]], np.float32)
    outlines = Outlines(np.concatenate([square, square + 5]), np.array([0, 4, 8]))
    grid = field_grid(Rect(5, 15, 20, 20), 0.5)
    drawn = drawn_cells(outlines, np.array([1, 0]), grid, (40, 40), filled=True)
    expected = np.zeros((40, 40), np.int32)
    expected[20:33, 20:29] = 1
    expected[10:23, 10:19] = 2  # drawn later, so it covers the other
    npt.assert_array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("mpp", "side"), [(0.25, 8.0), (2.0, 8.0), (2.1, 16.0), (4.0, 16.0), (64.0, 256.0)]
)
def test_bins_are_some_pixels_wide_and_never_smaller_than_a_cell(mpp: float, side: float) -> None:
    assert bin_um_of(mpp) == side


def test_a_bin_has_the_label_of_most_of_its_cells() -> None:
    # At 4 µm/px bins are of 16 µm: four pixels.
    grid, shape = PixelGrid(0.0, 0.0, 4.0), (8, 12)
    centers = np.array(
        [[1, 1], [2, 2], [15.9, 15.9], [16, 1], [17, 1], [30, 2], [31, 3], [40, 20], [500, 1]],
        np.float64,
    )
    labels = np.array([1, 2, 2, 5, 3, 5, 3, 0, 4], np.uint8)
    found = binned_labels(labels, centers, grid, shape)
    expected = np.zeros(shape, np.uint8)
    expected[:4, :4] = 2
    expected[:4, 4:8] = 3  # as many as 5: the lower label
    npt.assert_array_equal(found, expected)  # a cell without a type makes no bin


def test_bins_do_not_move_with_the_field() -> None:
    rng = np.random.default_rng(0)
    centers = rng.uniform(-50, 400, (800, 2))
    labels = rng.integers(1, 5, 800).astype(np.uint8)
    whole = binned_labels(labels, centers, PixelGrid(0.0, 0.0, 4.0), (90, 90))
    part = binned_labels(labels, centers, PixelGrid(52.0, 28.0, 4.0), (30, 40))
    npt.assert_array_equal(part, whole[7:37, 13:53])
    assert len(np.unique(whole)) == 5

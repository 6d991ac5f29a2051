from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.plugin.tissue_area import counted_tissue_mm2, tiles_with_values
from napari_past.quality import QualityMask
from napari_past.slide.tissue import TissueMask
from napari_past.types import IGNORE, TUMOUR, Region

PX_MM2 = 64e-6
TILES = np.array([[0, 0, 80, 80], [80, 0, 80, 80]], float)


def tissue(rows: int = 20, columns: int = 30) -> TissueMask:
    mask = np.zeros((rows, columns), np.bool_)
    mask[2:] = True
    return TissueMask(mask, 8.0)


def test_tissue_in_finished_tiles_counts() -> None:
    # two tiles of 10 x 10 pixels, without their two uppermost rows
    assert counted_tissue_mm2(tissue(), TILES) == pytest.approx(2 * 80 * PX_MM2)
    assert counted_tissue_mm2(tissue(), TILES[:1]) == pytest.approx(80 * PX_MM2)
    assert counted_tissue_mm2(tissue(), TILES[:0]) == 0


def test_what_is_not_scored_and_ignored_is_left_out() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[5, :] = 3  # a fold through both tiles, 20 pixels
    mask = QualityMask(labels, 8.0, "drawn")
    left = Region("fold", IGNORE, shapely.box(-50, -50, 80, 80))
    tumour = Region("T", TUMOUR, shapely.box(0, 0, 160, 160))
    assert counted_tissue_mm2(tissue(), TILES, mask) == pytest.approx(140 * PX_MM2)
    assert counted_tissue_mm2(tissue(), TILES, mask, [left, tumour]) == pytest.approx(70 * PX_MM2)


def test_tiles_that_are_no_whole_pixels_neither_overlap_nor_part() -> None:
    # 30 px of 8 µm in seven tiles of 34.3 µm
    side = 240 / 7
    tiles = np.array([[k * side, 0, side, 160] for k in range(7)])
    assert counted_tissue_mm2(tissue(), tiles) == pytest.approx(18 * 30 * PX_MM2)


def test_tiles_reach_beyond_the_slide() -> None:
    assert counted_tissue_mm2(tissue(), np.array([[0, 0, 1e4, 1e4]])) == pytest.approx(
        18 * 30 * PX_MM2
    )


def test_tiles_with_cells_that_wait_are_told_apart() -> None:
    tiles = np.array([[0, 0, 80, 80], [80, 0, 80, 80], [0, 80, 80, 80], [240, 160, 80, 80]], float)
    waiting = np.array([[81.0, 79.9], [300.0, 200.0], [2000.0, 40.0]])
    np.testing.assert_array_equal(tiles_with_values(tiles, waiting), tiles[[0, 2]])
    np.testing.assert_array_equal(tiles_with_values(tiles, waiting[:0]), tiles)
    assert len(tiles_with_values(tiles[:0], waiting)) == 0

"""Where a slide could not be read, in a table and of a region."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.engine.unreadable import (
    UNREADABLE,
    unreadable_lines,
    unreadable_mm2,
    unreadable_rects,
    unreadable_told,
)
from napari_past.types import Rect, Region, TileSpec

TILES = (TileSpec(0, 0, 256.0), TileSpec(1, 0, 256.0))


def test_rectangles_come_back_from_a_table() -> None:
    told = unreadable_told(TILES)
    assert told["tiles"] == 2
    np.testing.assert_array_equal(told["rects_um"], [[0, 0, 256, 256], [256, 0, 256, 256]])
    assert unreadable_rects({UNREADABLE: told}) == (Rect(0, 0, 256, 256), Rect(256, 0, 256, 256))
    assert unreadable_told(())["rects_um"].shape == (0, 4)
    for other in ({}, {UNREADABLE: 3}, {UNREADABLE: {"rects_um": "x"}}, {UNREADABLE: told | {}}):
        assert len(unreadable_rects(other)) in (0, 2)


def test_area_of_a_region_that_was_not_read() -> None:
    rects = [tile.rect for tile in TILES]
    assert unreadable_mm2(rects) == pytest.approx(2 * 0.256**2)
    assert unreadable_mm2([*rects, rects[0]]) == pytest.approx(2 * 0.256**2), "each place once"
    half = Region("A", "Tumour", shapely.box(128, 0, 256, 256))
    assert unreadable_mm2(rects, half) == pytest.approx(0.128 * 0.256)
    assert unreadable_mm2([]) == 0


def test_what_is_told_beside_scores() -> None:
    rects = [tile.rect for tile in TILES]
    regions = [
        Region("A", "Tumour", shapely.box(128, 0, 256, 512)),
        Region("far", "Include", shapely.box(1000, 1000, 1100, 1100)),
        Region("fold", "Ignore* fold", shapely.box(0, 0, 100, 100)),
    ]
    assert unreadable_lines(rects, regions) == [
        "50 % of region A (0.0328 mm²) could not be read: cells there are missing from its numbers."
    ]
    assert unreadable_lines([], regions) == []
    [line] = unreadable_lines(rects[:1])
    assert line.startswith("1 tile of the slide (0.0655 mm²) could not be read")

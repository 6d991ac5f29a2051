"""The value types: shapes that must agree, half-open rectangles, ragged outlines."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.errors import RegionError
from napari_past.types import (
    Cutoffs,
    FoundCells,
    Outlines,
    PixelGrid,
    Rect,
    Region,
    TileResult,
    TileSpec,
)


def outlines(*sizes: int) -> Outlines:
    """Cell i has sizes[i] vertices, all (i, i)."""
    vertices = np.repeat(np.arange(len(sizes), dtype=np.float32), sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Outlines(np.stack([vertices, vertices], axis=1), offsets)


def cells(*sizes: int, ids: tuple[str, ...] = ()) -> FoundCells:
    n = len(sizes)
    centers = np.arange(2 * n, dtype=np.float64).reshape(n, 2)
    return FoundCells(centers, outlines(*sizes), np.arange(n, dtype=np.float32), ids)


def test_rect_is_half_open():
    points = np.array([[1, 2], [4, 2], [1, 6], [3.999, 5.999], [0.999, 3]])
    inside = Rect(1, 2, 3, 4).contains(points)
    assert inside.tolist() == [True, False, False, True, False]


@pytest.mark.parametrize(
    "values", [(0, 0, 0, 1), (0, 0, 1, -1), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)]
)
def test_rect_refuses_what_has_no_area(values):
    with pytest.raises(RegionError, match="positive width and height"):
        Rect(*values)


def test_rects_that_touch_share_no_area():
    assert not Rect(0, 0, 1, 1).intersects(Rect(1, 0, 1, 1))
    assert Rect(0, 0, 1, 1).intersects(Rect(0.999, 0.999, 1, 1))


@pytest.mark.parametrize("size_um", [256.0, 512 * 0.69, 512 * 0.2527, 512 * 0.1])
def test_tiles_abut_to_the_last_bit(size_um):
    for k in [-3, -1, 0, 1, 2, 3, 7, 100, 12345]:
        here, there = TileSpec(k, 0, size_um).rect, TileSpec(k + 1, 1, size_um).rect
        assert here.x1_um == there.x_um
        assert here.y1_um == there.y_um


def test_pixel_centre_is_half_a_pixel_in():
    grid = PixelGrid(100.0, 200.0, 0.5)
    np.testing.assert_array_equal(
        grid.to_um(np.array([[0, 0], [3, 10]])), [[100.25, 200.25], [105.25, 201.75]]
    )
    np.testing.assert_array_equal(grid.to_px(np.array([[105.25, 201.75]])), [[3, 10]])


def test_outlines_are_taken_and_put_together():
    whole = outlines(3, 0, 4, 5)
    taken = whole.take(np.array([3, 1, 0]))
    assert taken.offsets.tolist() == [0, 5, 5, 8]
    assert [o[0].tolist() for o in (taken[0], taken[2])] == [[3, 3], [0, 0]]
    masked = whole.take(np.array([True, False, True, False]))
    assert masked.offsets.tolist() == [0, 3, 7]
    both = Outlines.concatenate([masked, taken])
    assert both.offsets.tolist() == [0, 3, 7, 12, 12, 15]
    assert len(Outlines.empty()) == 0
    assert Outlines.empty().vertices_um.shape == (0, 2)


def test_cells_keep_their_names():
    named = cells(3, 4, ids=("a", "b"))
    assert named.take(np.array([1])).ids == ("b",)
    assert named.take(np.array([True, False])).ids == ("a",)
    assert FoundCells.concatenate([named, FoundCells.empty(), named]).ids == ("a", "b", "a", "b")
    assert FoundCells.concatenate([named, cells(3)]).ids == ()
    assert len(FoundCells.empty()) == 0


def test_parts_must_describe_the_same_cells():
    good = cells(3, 3)
    with pytest.raises(ValueError, match="same cells"):
        FoundCells(good.centers_um, outlines(3), good.areas_um2)
    with pytest.raises(ValueError, match="same cells"):
        FoundCells(good.centers_um, good.outlines, good.areas_um2, ("a",))
    tile = TileSpec(0, 0, 256.0)
    with pytest.raises(ValueError, match="2 cells"):
        TileResult(tile, good, np.zeros((1, 4), np.float16), np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="2 cells"):
        TileResult(tile, good, np.zeros((2, 4), np.float16), np.zeros(1, np.float32))


def test_regions_have_a_role_and_an_area():
    square = shapely.box(0, 0, 10, 10)
    holed = shapely.Polygon(square.exterior, [shapely.box(4, 4, 6, 6).exterior.coords])
    inside = Region("r", "Tumour", holed).contains(np.array([[1, 1], [5, 5], [11, 1]]))
    assert inside.tolist() == [True, False, False]
    assert Region("fold", "Ignore: fold", square).ignored
    with pytest.raises(RegionError, match="role 'Stroma'"):
        Region("r", "Stroma", square)
    with pytest.raises(RegionError, match="empty"):
        Region("r", "Include", shapely.Polygon())


@pytest.mark.parametrize("values", [(1, 1, 2), (3, 2, 1), (0, 1, float("nan"))])
def test_cutoffs_ascend(values):
    with pytest.raises(ValueError, match="ascending"):
        Cutoffs(*values, source="given")

"""Polygons on pixels, against shapely pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.stain.spans import PARTS, crossings, filled, sums_within
from napari_past.types import Outlines, PixelGrid

SHAPE = (50, 70)


def outlines_of(polygons) -> Outlines:
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in polygons])]).astype(np.int64)
    return Outlines(np.concatenate(polygons).astype(np.float32), offsets)


@pytest.fixture(scope="module")
def polygons() -> list[np.ndarray]:
    """Stars of both orientations, some beyond the block, and a notched one."""
    rng = np.random.default_rng(0)
    angle = np.arange(11) * 2 * np.pi / 11
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = [rng.uniform((-2, -2), (37, 27)) + rng.uniform(1, 6, (11, 1)) * rim for _ in range(25)]
    found = [p[::-1] if i % 2 else p for i, p in enumerate(found)]
    return [*found, np.array([[3, 3], [20, 3], [20, 20], [12, 6], [3, 20.0]])]


def inside(polygon: np.ndarray, grid: PixelGrid) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    x_um, y_um = grid.x0_um + (x + 0.5) * grid.mpp, grid.y0_um + (y + 0.5) * grid.mpp
    return shapely.contains_xy(shapely.Polygon(polygon.astype(np.float32)), x_um, y_um)


GRIDS = [PixelGrid(0, 0, 0.5), PixelGrid(3.1, -2.7, 0.37)]


@pytest.mark.parametrize("grid", GRIDS)
def test_filled_counts_the_polygons_over_each_pixel(polygons, grid):
    amounts = np.arange(1, len(polygons) + 1)
    found = filled(crossings(outlines_of(polygons), grid, SHAPE), amounts, SHAPE)
    expected = sum(a * inside(p, grid) for a, p in zip(amounts, polygons, strict=True))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("grid", GRIDS)
def test_sums_are_of_the_pixels_within(polygons, grid):
    image = np.random.default_rng(1).random(SHAPE)
    found = sums_within(crossings(outlines_of(polygons), grid, SHAPE), image, len(polygons))
    expected = [image[inside(p, grid)].sum() for p in polygons]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_soft_edges_cover_the_area(polygons):
    """Anti-aliased coverage adds up to the polygon's area."""
    grid, lines = PixelGrid(-10, -10, 1.0), 6
    for polygon in polygons:
        found = crossings(outlines_of([polygon]), grid, SHAPE, lines)
        cover = filled(found, np.array([1]), SHAPE, soft=True) / (PARTS * lines)
        assert cover.max() <= 1
        area = shapely.Polygon(polygon).area
        assert cover.sum() == pytest.approx(area, rel=0.05, abs=0.5)


def test_cells_without_outline_cover_nothing():
    square = np.array([[2, 2], [6, 2], [6, 6], [2, 6.0]])
    outlines = outlines_of([np.zeros((0, 2)), square, np.array([[3, 3.0]]), np.zeros((0, 2))])
    grid = PixelGrid(0, 0, 1.0)
    found = crossings(outlines, grid, SHAPE)
    assert filled(found, np.array([8, 1, 8, 8]), SHAPE).sum() == 16
    assert sums_within(found, np.ones(SHAPE), 4).tolist() == [0, 16, 0, 0]
    nothing = crossings(Outlines.empty(), grid, SHAPE)
    assert not filled(nothing, np.zeros(0, np.int64), SHAPE).any()

"""Cells that a user brings go through the same door, and all of them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.cells import Detector, GivenCells, cells_in, find_cells, tiles_over
from napari_past.slide import slide_of_array
from napari_past.types import FoundCells, Outlines, Rect


def brought(centers_um: np.ndarray, ids: tuple[str, ...] = ()) -> FoundCells:
    n = len(centers_um)
    corners = np.array([[-2, -2], [2, -2], [2, 2], [-2, 2]], np.float32)
    vertices = (centers_um[:, None] + corners).reshape(-1, 2).astype(np.float32)
    outlines = Outlines(vertices, np.arange(n + 1, dtype=np.int64) * 4)
    return FoundCells(centers_um, outlines, np.full(n, 16, np.float32), ids)


@pytest.fixture(scope="module")
def slide():
    return slide_of_array(np.full((700, 900, 3), 244, np.uint8), 0.5)


@pytest.mark.parametrize("size_um", [512 * 0.69, 512 * 0.25, 100.0, 33.3])
def test_each_belongs_to_one_tile(slide, size_um):
    """On seams, and next to them by a float's last bits."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, (450, 350), (400, 2))
    xy[:200, 0] = np.round(xy[:200, 0] / size_um) * size_um + rng.choice(
        [0, 1e-13, -1e-13, 1e-7], 200
    )
    xy[100:300, 1] = np.round(xy[100:300, 1] / size_um) * size_um
    xy = np.abs(xy[slide.bounds.contains(np.abs(xy))])
    detector = GivenCells(brought(xy, tuple(map(str, range(len(xy))))))
    tiles = list(tiles_over(slide.bounds, size_um))
    wanted = detector.tiles_with_cells(size_um)
    parts = []
    for tile in tiles:
        cells = cells_in(slide, tile.rect, detector.narrowed(tile.rect))
        np.testing.assert_array_equal(
            cells.centers_um, cells_in(slide, tile.rect, detector).centers_um
        )
        assert not len(cells) or (tile.column, tile.row) in wanted
        parts.append(cells)
    together = FoundCells.concatenate(parts)
    assert sorted(together.ids, key=int) == list(detector.cells.ids)


def test_on_glass_they_count_too(slide):
    """The tissue mask sees nothing here; the pathologist did."""
    cells = brought(np.array([[10.0, 20.0], [300.5, 340.0]]))
    found = find_cells(slide, detector=GivenCells(cells))
    assert found.centers_um.tolist() == [[10.0, 20.0], [300.5, 340.0]]
    np.testing.assert_array_equal(found.outlines.vertices_um, cells.outlines.vertices_um)


def test_identity_is_of_all_cells(slide):
    cells = brought(np.array([[10.0, 20.0], [300.5, 340.0]]))
    detector = GivenCells(cells)
    assert isinstance(detector, Detector)
    part = detector.narrowed(Rect(0, 0, 100, 100))
    assert len(part.cells) == 1
    assert part.identity() == detector.identity() == detector.fitted(slide).identity()
    moved = brought(np.array([[10.0, 20.0], [300.5, 340.1]]))
    larger = FoundCells(cells.centers_um, cells.outlines, cells.areas_um2 * 2)
    names = {GivenCells(c).identity() for c in (cells, moved, larger)}
    assert len(names) == 3

"""Which cells are learned from and which are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_past.errors import PastError
from napari_past.sample import write_phantom
from napari_past.slide import Slide, open_slide
from napari_past.types import FoundCells, Outlines
from past_training.release.distill_cells import TaughtCells, by_tile, drawn, halves

SEES_UM = 10.0


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Slide:
    """300 x 100 µm."""
    folder: Path = tmp_path_factory.mktemp("slide")
    return open_slide(write_phantom(folder / "p.ome.tif", 600, 200, 0.5, 3))


def placed(slide: Slide, centers_um: np.ndarray) -> TaughtCells:
    n = len(centers_um)
    outlines = Outlines(np.zeros((0, 2), np.float32), np.zeros(n + 1, np.int64))
    found = FoundCells(centers_um.astype(float), outlines, np.ones(n, np.float32))
    vectors = np.arange(2 * n, dtype=np.float16).reshape(n, 2)
    return TaughtCells(slide, found, vectors, np.arange(n))


@pytest.mark.parametrize("axis", [0, 1], ids=["right", "bottom"])
def test_the_far_end_is_held_out_and_shares_no_pixel(slide, axis):
    along = np.arange(100.0)
    centers_um = np.zeros((100, 2))
    centers_um[:, axis] = along
    near, far = halves(placed(slide, centers_um), SEES_UM)
    cut = np.quantile(along, 0.75)
    assert far.found.centers_um[:, axis].tolist() == along[along >= cut].tolist()
    assert near.found.centers_um[:, axis].tolist() == along[along < cut - 20].tolist()
    assert far.area is None
    assert near.area is not None
    end_um = near.area.x1_um if axis == 0 else near.area.y1_um
    # What the first held-out cell sees begins where the area of the others ends.
    assert end_um == pytest.approx(cut - SEES_UM)
    assert far.teacher().tolist() == [[2 * k, 2 * k + 1] for k in range(75, 100)]


def test_a_slide_too_small_to_hold_a_part_of_it_out(slide):
    cells = placed(slide, np.column_stack([np.arange(100.0), np.zeros(100)]))
    with pytest.raises(PastError, match=r"p\.ome\.tif is too small .* give another slide with"):
        halves(cells, 30.0)


def test_tiles_hold_each_cell_once(slide):
    rng = np.random.default_rng(0)
    cells = placed(slide, rng.uniform(0, 100, (200, 2)))
    tiles = by_tile(cells, 25.0)
    assert sorted(np.concatenate(tiles).tolist()) == list(range(200))
    for index in tiles:
        assert len(np.unique(cells.found.centers_um[index] // 25.0, axis=0)) == 1
    assert len(tiles) == 16


def test_whole_tiles_are_drawn(slide):
    rng = np.random.default_rng(0)
    cells = placed(slide, rng.uniform(0, 100, (200, 2)))
    (some,) = drawn([cells], 60, 25.0)
    whole = {tuple(p): n for p, n in _counts(cells)}
    assert dict(_counts(some)).items() <= whole.items()
    assert 60 <= len(some) < 60 + max(whole.values())
    (everything,) = drawn([cells], 10**6, 25.0)
    assert everything.rows.tolist() == list(range(200))


def _counts(cells: TaughtCells) -> list[tuple[tuple[int, int], int]]:
    places, n = np.unique((cells.found.centers_um // 25.0).astype(int), axis=0, return_counts=True)
    return [((int(x), int(y)), int(k)) for (x, y), k in zip(places, n, strict=True)]

"""Windows show the cells where they lie on the slide, each once a pass."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from napari_past.sample import write_phantom
from napari_past.slide import Slide, open_slide
from napari_past.types import FoundCells, Outlines, Rect
from past_training.release.distill_cells import TaughtCells
from past_training.release.distill_views import ViewBatch, Views

MPP, CORE_PX, MARGIN_PX, CELLS = 1.0, 40, 12, 60


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Slide:
    """150 x 120 µm, at 0.5 µm/px."""
    folder: Path = tmp_path_factory.mktemp("slide")
    return open_slide(write_phantom(folder / "p.ome.tif", 300, 240, 0.5, 3))


def cells(slide: Slide, area: Rect | None = None) -> TaughtCells:
    """Their vectors tell where they lie, in whole µm."""
    rng = np.random.default_rng(0)
    centers_um = rng.integers(0, [150, 120], (CELLS, 2)) + 0.5
    outlines = Outlines(np.zeros((0, 2), np.float32), np.zeros(CELLS + 1, np.int64))
    found = FoundCells(centers_um, outlines, np.ones(CELLS, np.float32))
    return TaughtCells(slide, found, centers_um.astype(np.float16), np.arange(CELLS), area)


def batches(part: TaughtCells, n: int, seed: int = 0) -> list[ViewBatch]:
    views = Views([part], MPP, CORE_PX, MARGIN_PX, 3, seed)
    generator = views.batches()
    try:
        return list(islice(generator, n))
    finally:
        generator.close()


def one_pass(part: TaughtCells, seed: int = 0) -> list[ViewBatch]:
    found: list[ViewBatch] = []
    for batch in batches(part, 30, seed):
        if sum(len(b.where) for b in found) == CELLS:
            break
        found.append(batch)
    return found


def test_a_pass_shows_every_cell_once(slide):
    seen = np.concatenate([batch.teacher.numpy() for batch in one_pass(cells(slide))])
    wanted = cells(slide).teacher().astype(np.float32)
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, wanted.tolist()))


def test_cells_lie_in_the_middle_where_they_lie_on_the_slide(slide):
    whole = slide.read_grid(-60, -60, 300, 300, MPP)
    for batch in one_pass(cells(slide)):
        side = CORE_PX + 2 * MARGIN_PX
        assert batch.image.shape[1:] == (side, side, 3)
        assert batch.where[:, 1:].min() >= MARGIN_PX
        assert batch.where[:, 1:].max() <= side - 1 - MARGIN_PX
        image = batch.image.numpy()
        for (b, y, x), (x_um, y_um) in zip(
            batch.where.int().tolist(), batch.teacher.tolist(), strict=True
        ):
            row, column = int(y_um) + 60, int(x_um) + 60
            around = slice(row - 12, row + 13), slice(column - 12, column + 13)
            assert (image[b, y - 12 : y + 13, x - 12 : x + 13] == whole[around]).all()


def test_passes_cut_the_slide_otherwise_and_seeds_decide(slide):
    part = cells(slide)
    first = one_pass(part)
    again = batches(part, 2 * len(first) + 4)
    assert all((a.image == b.image).all() for a, b in zip(first, again, strict=False))
    places = {tuple(p) for b in first for p in b.where[:, 1:].tolist()}
    later = {tuple(p) for b in again[len(first) :] for p in b.where[:, 1:].tolist()}
    assert len(places & later) < CELLS / 2
    other = one_pass(part, seed=1)
    assert [len(b.where) for b in other] != [len(b.where) for b in first]


def test_nothing_is_seen_beyond_the_area(slide):
    area = Rect(0.0, 0.0, 70.0, 120.0)
    part = cells(slide, area)
    near = part.take(np.flatnonzero(part.found.centers_um[:, 0] < 60))
    background = np.array(slide.background)
    shown = 0
    for batch in batches(near, 8):
        for (b, _, x), (x_um, _) in zip(
            batch.where.int().tolist(), batch.teacher.tolist(), strict=True
        ):
            first_px = x + 70 - int(x_um)
            beyond = batch.image.numpy()[b, :, first_px:]
            assert (beyond == background).all()
            shown += beyond.size
            if first_px - 1 < batch.image.shape[2]:
                assert (batch.image.numpy()[b, :, first_px - 1] != background).any()
    assert shown

"""The growing table holds what the store holds, in the order in which tiles came."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.engine import CellTable, Store
from napari_past.engine import table as table_module
from napari_past.types import Rect


@pytest.fixture
def results(undisturbed):
    cells = undisturbed().compute()
    return cells, [cells.store.read(tile) for tile in cells.plan.tiles]


def test_table_is_what_cells_are(results, model, slide) -> None:
    cells, tiles = results
    table = CellTable(model, slide.fingerprint)
    assert len(table) == 0
    assert table.expression(["ERBB2"]).shape == (0, 1)
    assert sum(table.append([tile]) for tile in tiles) == len(cells) == len(table)
    npt.assert_array_equal(table.centers_um, cells.centers_um)
    npt.assert_array_equal(table.areas_um2, cells.found.areas_um2)
    npt.assert_array_equal(table.hematoxylin_od, cells.hematoxylin_od)
    npt.assert_allclose(table.unlike_training, cells.unlike_training, rtol=1e-5)
    npt.assert_array_equal(table.outlines.offsets, cells.found.outlines.offsets)
    npt.assert_array_equal(table.outlines.vertices_um, cells.found.outlines.vertices_um)
    npt.assert_array_equal(table.embedding(len(cells) - 1), cells.embeddings[-1])
    assert [table.cell_id(i) for i in range(9)] == cells.ids[:9]
    assert table.append(tiles) == 0  # nothing twice
    npt.assert_allclose(
        table.slide_unlike_training, model.slide_unlike_training(cells.embeddings), rtol=1e-6
    )


@pytest.mark.parametrize("block", [7, 64])
def test_expression_goes_over_blocks_and_from_a_start(
    results, model, slide, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(table_module, "BLOCK_CELLS", block)
    cells, tiles = results
    table = CellTable(model, slide.fingerprint)
    table.append(tiles)
    expected = cells.expression(["EPCAM", "ERBB2"])
    for start in (0, 1, block - 1, block, block + 3, len(cells)):
        found = table.expression(["EPCAM", "ERBB2"], start)
        npt.assert_allclose(found, expected[start:], rtol=1e-5, atol=1e-6)


def test_rectangles_ask_their_tiles_alone(results, model, slide) -> None:
    cells, tiles = results
    table = CellTable(model, slide.fingerprint)
    table.append(reversed(tiles))
    rects = [Rect(0, 0, 575, 400), Rect(250, 200, 20, 90), Rect(255.9, 0, 0.2, 400)]
    for rect in [*rects, Rect(-50, -50, 10, 10), Rect(900, 900, 5, 5)]:
        npt.assert_array_equal(table.in_rect(rect), np.flatnonzero(rect.contains(table.centers_um)))
    assert len(table.in_rect(rects[0])) == len(cells)


def test_store_lists_what_is_finished(undisturbed, plan, tmp_path) -> None:
    store = undisturbed().store
    assert store.finished(plan.tiles) == set(plan.tiles)
    assert Store(plan.key, tmp_path).finished(plan.tiles) == set()

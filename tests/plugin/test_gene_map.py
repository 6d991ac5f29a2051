"""The map is the mean per bin, in the colours of the points, at every level."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.engine import CellTable
from napari_past.plugin.gene_map import GeneMap
from napari_past.plugin.staining import Look, extended, staining
from napari_past.types import Cutoffs

LOOKS = {
    "expression": (Look(), None),
    "classes": (Look(as_classes=True), None),
    "two genes": (Look(), "KRT19"),
}


@pytest.fixture
def tiles(analysed):
    return [analysed.store.read(tile) for tile in analysed.plan.tiles]


def stained(table, analysed, name: str):
    look, second = LOOKS[name]
    values = analysed.marker_values("ERBB2")
    limits = Cutoffs(*(float(q) for q in np.quantile(values, (0.4, 0.6, 0.8))), "given")
    compared = None if second is None else analysed.resolve(second)
    return staining(table, analysed.resolve("ERBB2"), limits, look, compared)


def size_um(analysed) -> tuple[float, float]:
    width, height = (side * analysed.plan.key.slide_mpp for side in analysed.plan.slide_size_px)
    return width, height


@pytest.mark.parametrize("name", LOOKS)
def test_bins_have_the_colour_of_their_mean(analysed, tiles, name: str) -> None:
    table = CellTable(analysed.model, analysed.plan.key.fingerprint)
    table.append(tiles)
    shown = stained(table, analysed, name)
    drawn = GeneMap(size_um(analysed))
    drawn.show(table, shown)
    assert len(drawn.levels) >= 2
    for level in drawn.levels:
        column, row = (table.centers_um // level.bin_um).astype(int).T
        for r, c in list(dict.fromkeys(zip(row, column, strict=True)))[:60]:
            inside = (row == r) & (column == c)
            second = None if shown.second is None else shown.second.values[inside].mean()
            code = shown.codes(
                np.array([shown.values[inside].mean()]),
                None if second is None else np.array([second]),
            )
            expected = np.round(shown.palette()[code[0]] * 255)
            # the mean in another order may fall into the neighbouring step of the colour map
            assert np.abs(level.rgba[r, c] - expected).max() <= 6
        empty = np.ones(level.shape, bool)
        empty[row, column] = False
        assert (level.rgba[empty] == 0).all()
        assert (level.rgba[~empty][:, 3] == 255).all()
    for fine, coarse in itertools.pairwise(drawn.levels):
        assert fine.shape == (2 * coarse.shape[0], 2 * coarse.shape[1])


@pytest.mark.parametrize("name", LOOKS)
def test_growing_gives_the_map_of_all_cells(analysed, tiles, name: str) -> None:
    table = CellTable(analysed.model, analysed.plan.key.fingerprint)
    table.append(tiles[:2])
    shown = stained(table, analysed, name)
    grown = GeneMap(size_um(analysed))
    grown.show(table, shown)
    for tile in tiles[2:]:
        table.append([tile])
        shown = extended(shown, table)
        grown.grow(table, shown)
    at_once = GeneMap(size_um(analysed))
    at_once.show(table, shown)
    for a, b in zip(grown.levels, at_once.levels, strict=True):
        npt.assert_array_equal(a.counts, b.counts)
        npt.assert_allclose(a.sums[0], b.sums[0], rtol=1e-4, atol=1e-4)
        # rounding in another order moves a bin by one step of the colour map at most
        assert (np.abs(a.rgba.astype(int) - b.rgba) > 6).mean() < 0.001


def test_wide_slides_have_larger_bins() -> None:
    drawn = GeneMap((45_000.0, 40_000.0))
    assert np.prod(drawn.levels[0].shape) <= 2_100_000 * 1.1
    assert drawn.levels[0].bin_um == 32.0
    assert max(drawn.levels[-1].shape) <= 256

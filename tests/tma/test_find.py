"""Cores of drawn microarrays, whose places and names are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.errors import Cancelled, RegionError
from napari_past.sample.microarray import ArrayPlan, Microarray, draw_microarray
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide
from napari_past.slide.tissue import TissueMask, tissue_mask
from napari_past.tma import TmaGrid, find_cores
from napari_past.tma.find import grid_on

SMALL = ArrayPlan(rows=5, columns=7)
MPP = 20.0


def drawn(plan: ArrayPlan, seed: int = 0) -> tuple[Microarray, TissueMask]:
    array = draw_microarray(plan, MPP, seed)
    return array, tissue_mask(array.rgb, MPP, (244, 243, 244))


def assert_grid_is(grid: TmaGrid, array: Microarray, within: float = 0.12) -> None:
    """Every position is there with its name, its place and whether it has a core."""
    rows, columns = array.present.shape
    assert (grid.rows, grid.columns) == (rows, columns)
    found = {core.name: core for core in grid.cores}
    assert len(found) == rows * columns
    for row in range(rows):
        for column in range(columns):
            core = found[f"{'ABCDEFGHIJKLMNOP'[row]}-{column + 1}"]
            assert core.is_missing is not array.present[row, column], core.name
            off = np.hypot(*(np.array(core.center_um) - array.centers_um[row, column]))
            # of a missing or torn core only its row and column tell the place
            loose = 1 if array.present[row, column] and not array.torn[row, column] else 2.5
            assert off < loose * within * array.diameter_um, core.name


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(SMALL, id="plain"),
        pytest.param(replace(SMALL, rotation_deg=7.0), id="turned"),
        pytest.param(replace(SMALL, rotation_deg=-7.0, row_stretch=1.3), id="turned, wide rows"),
        pytest.param(replace(SMALL, bend=0.4), id="bent"),
        pytest.param(replace(SMALL, pitch=1.02, jitter=0.01), id="touching"),
        pytest.param(replace(SMALL, missing=0.25), id="missing"),
        pytest.param(replace(SMALL, torn=0.5), id="torn"),
        pytest.param(replace(SMALL, diameter_um=600.0, dirt=12), id="0.6 mm and dirt"),
        pytest.param(ArrayPlan(rows=3, columns=4, diameter_um=2000.0), id="2 mm"),
    ],
)
def test_cores_are_found_named_and_placed(plan: ArrayPlan) -> None:
    array, mask = drawn(plan, seed=4)
    # the ends of the grid have a core, else nobody could know of them
    assert array.present.any(axis=0).all()
    assert array.present.any(axis=1).all()
    grid = grid_on(mask, "drawn")
    assert_grid_is(grid, array)
    assert grid.diameter_um == pytest.approx(plan.diameter_um, rel=0.06)


def test_torn_cores_are_told_with_their_share() -> None:
    array, mask = drawn(replace(SMALL, torn=0.5), seed=4)
    grid = grid_on(mask, "drawn")
    partial = [core for core in grid.cores if core.is_partial]
    assert partial
    assert all(array.torn[core.row, core.column] for core in partial)
    (note,) = grid.notes
    assert all(core.name in note for core in partial)


def test_whole_missing_column_keeps_its_number() -> None:
    array, mask = drawn(SMALL, seed=1)
    x0, x1 = array.centers_um[:, 3, 0].min() - 700, array.centers_um[:, 3, 0].max() + 700
    mask.mask[:, round(x0 / MPP) : round(x1 / MPP)] = False
    grid = grid_on(mask, "drawn")
    assert (grid.rows, grid.columns) == (5, 7)
    assert {core.name for core in grid.missing} == {f"{letter}-4" for letter in "ABCDE"}
    assert grid.notes == (
        "1 column of the grid holds no core at all; check the names that follow.",
    )


def test_gap_between_blocks_that_is_no_whole_step_is_no_column() -> None:
    array, mask = drawn(replace(SMALL, jitter=0.0), seed=1)
    cut = round((array.centers_um[:, 2, 0].mean() + 750) / MPP)
    gap = np.zeros((mask.mask.shape[0], round(0.6 * 1500 / MPP)), bool)
    wide = np.hstack([mask.mask[:, :cut], gap, mask.mask[:, cut:]])
    grid = grid_on(TissueMask(wide, MPP), "drawn")
    assert (grid.rows, grid.columns, len(grid.missing)) == (5, 7, 0)
    assert "1 gap between blocks" in grid.notes[0]


def test_diameter_given_is_kept() -> None:
    array, mask = drawn(SMALL)
    grid = grid_on(mask, "drawn", 1100.0)
    assert_grid_is(grid, array)
    assert {core.diameter_um for core in grid.cores} == {1100.0}


def test_one_piece_of_tissue_is_no_grid() -> None:
    mask = np.zeros((500, 700), bool)
    mask[100:400, 100:600] = True
    with pytest.raises(RegionError, match=r"section\.svs .*draw them as regions"):
        grid_on(TissueMask(mask, MPP), "section.svs")


def test_glass_alone_is_no_grid() -> None:
    with pytest.raises(RegionError, match="no round cores"):
        grid_on(TissueMask(np.zeros((300, 400), bool), MPP), "empty.svs")


def test_three_cores_are_no_grid() -> None:
    _, mask = drawn(ArrayPlan(rows=1, columns=3))
    with pytest.raises(RegionError, match="no grid of cores"):
        grid_on(mask, "biopsies")


def test_section_is_no_grid(data_dir: Path) -> None:
    with (
        open_slide(data_dir / "slides" / "CMU-1-Small-Region.svs") as slide,
        pytest.raises(RegionError, match="no grid of cores"),
    ):
        find_cores(slide)


def test_cores_of_a_slide_in_its_micrometres(tmp_path: Path) -> None:
    array, _ = drawn(SMALL, seed=2)
    write_pyramid(tmp_path / "array.ome.tif", array.rgb, MPP, "array", jpeg=False)
    with open_slide(tmp_path / "array.ome.tif") as slide:
        assert_grid_is(find_cores(slide), array)
        with pytest.raises(RegionError, match="3 µm"):
            find_cores(slide, diameter_um=3.0)
        with pytest.raises(Cancelled):
            find_cores(slide, cancelled=lambda: True)


def test_drawing_repeats_itself() -> None:
    plan = replace(SMALL, missing=0.2, dirt=3)
    one, two = draw_microarray(plan, MPP, 5), draw_microarray(plan, MPP, 5)
    npt.assert_array_equal(one.rgb, two.rgb)
    assert not np.array_equal(one.present, draw_microarray(plan, MPP, 6).present)

from __future__ import annotations

import math

import numpy as np
import pytest
from anndata import AnnData

from napari_past.errors import RegionError
from napari_past.tma import TmaCore, TmaGrid, add_cores, core_name, position_of
from napari_past.types import INCLUDE


def core(row: int, column: int, **told: object) -> TmaCore:
    place = (1000.0 * column, 1000.0 * row)
    return TmaCore(core_name(row, column), row, column, place, 600.0, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [(0, 0, "A-1"), (8, 8, "I-9"), (25, 11, "Z-12"), (26, 0, "AA-1"), (52, 2, "BA-3")],
)
def test_rows_are_lettered_without_a_gap(row: int, column: int, name: str) -> None:
    assert core_name(row, column) == name
    assert position_of(name) == (row, column)


@pytest.mark.parametrize("name", ["", "A-0", "tumour 1", "Region 2", "1-A", "A-1-2", "AAA-1"])
def test_other_names_are_no_positions(name: str) -> None:
    assert position_of(name) is None


def test_regions_are_those_of_cores_that_are_there() -> None:
    grid = TmaGrid((core(0, 0), core(0, 1, is_missing=True), core(1, 0)))
    assert [(r.name, r.role) for r in grid.regions()] == [("A-1", INCLUDE), ("B-1", INCLUDE)]
    assert grid.regions()[0].polygon_um.area == pytest.approx(math.pi * 300**2, rel=0.002)
    assert (grid.rows, grid.columns) == (2, 2)


def test_region_of_a_case_is_its_cores_together() -> None:
    grid = TmaGrid((core(0, 0, case="P1"), core(0, 1), core(1, 1, case="P1"),
                    core(2, 0, case="P2", is_missing=True)))  # fmt: skip
    (region,) = grid.case_regions()
    assert region.name == "P1"
    places = np.array([[0.0, 0.0], [1000.0, 0.0], [1000.0, 1000.0], [0.0, 2000.0]])
    assert region.contains(places).tolist() == [True, False, True, False]


def test_cells_know_their_core_and_case() -> None:
    grid = TmaGrid((core(0, 0, case="P1"), core(0, 1, is_missing=True, case="P2"), core(1, 0)))
    table = AnnData(
        np.zeros((4, 1), np.float32),
        obsm={"spatial": np.array([[10.0, 20.0], [1000.0, 0.0], [100.0, 900.0], [500.0, 500.0]])},
    )
    add_cores(table, grid)
    assert table.obs["core"].tolist() == ["A-1", "", "B-1", ""]
    assert table.obs["case"].tolist() == ["P1", "", "", ""]


def test_where_discs_overlap_the_nearer_centre_counts() -> None:
    near = TmaCore("A-2", 0, 1, (500.0, 0.0), 600.0)
    grid = TmaGrid((core(0, 0), near))
    assert grid.core_at(np.array([[240.0, 0.0], [260.0, 0.0], [-301.0, 0.0]])).tolist() == [
        0,
        1,
        -1,
    ]


def test_one_name_for_two_cores_is_refused() -> None:
    with pytest.raises(RegionError, match="2 cores of the grid have the name A-1"):
        TmaGrid((core(0, 0), TmaCore("A-1", 0, 1, (5.0, 5.0), 600.0)))
    with pytest.raises(RegionError, match="no core C-9"):
        TmaGrid((core(0, 0),)).changed("C-9", is_missing=True)
    assert TmaGrid((core(0, 0),)).changed("A-1", is_missing=True).missing

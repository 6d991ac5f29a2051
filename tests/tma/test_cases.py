from __future__ import annotations

from pathlib import Path

import pytest

from napari_past.errors import BadTable
from napari_past.tma import TmaCore, TmaGrid, core_name, with_cases

GRID = TmaGrid(
    tuple(
        TmaCore(core_name(r, c), r, c, (1500.0 * c, 1500.0 * r), 1000.0)
        for r in range(2)
        for c in range(3)
    )
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("core,case,grade\nA-1,P1,2\na2,P1,\nB-3,P2,3\n", id="list"),
        pytest.param(
            "\ufeffGrade;Patient ID;Core\r\n2;P1;A1\r\n;P1;A-2\r\n3;P2;B3\r\n", id="excel"
        ),
        pytest.param("case\tgrade\tposition\nP1\t2\tA1\nP1\t\tA2\n\t\t\nP2\t3\tB3\n", id="tabs"),
    ],
)
def test_list_of_cores(tmp_path: Path, text: str) -> None:
    (tmp_path / "cases.csv").write_text(text, encoding="utf-8")
    grid = with_cases(GRID, tmp_path / "cases.csv")
    assert [core.case for core in grid.cores] == ["P1", "P1", "", "", "", "P2"]
    grades = [{k.casefold(): v for k, v in core.columns.items()} for core in grid.cores]
    assert grades == [{"grade": "2"}, {}, {}, {}, {}, {"grade": "3"}]


def test_map_of_the_array(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("TMA 7,1,2,3\nA,P1,P1,\nB,P2,control,P3\n", encoding="utf-8")
    grid = with_cases(GRID, tmp_path / "map.csv")
    assert [core.case for core in grid.cores] == ["P1", "P1", "", "P2", "control", "P3"]
    assert list(grid.cases) == ["P1", "P2", "control", "P3"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("core,case\nA-1,P1\nC-9,P2\nD-1,P3\n", r"names 2 cores .* does not have \(C-9, D-1\)"),
        ("core,case\nA-1,P1\nA1,P2\n", "core A-1 twice"),
        ("x,y\n1,2\n", "neither a list .* nor a map"),
        ("core,case\n", "holds no line"),
        ("core,case\n\x00\xff", "CSV"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "cases.csv").write_text(text, encoding="latin-1")
    with pytest.raises(BadTable, match=told):
        with_cases(GRID, tmp_path / "cases.csv")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match=r"no file .*none\.csv"):
        with_cases(GRID, tmp_path / "none.csv")

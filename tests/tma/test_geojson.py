from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_past.errors import BadTable, MissingPixelSize
from napari_past.io import read_regions
from napari_past.tma import TmaCore, TmaGrid, core_name, grid_in, read_tma, write_tma

MPP = 0.25


def grid_of(rows: int, columns: int) -> TmaGrid:
    return TmaGrid(
        tuple(
            TmaCore(
                core_name(r, c),
                r,
                c,
                (1500.0 * c + 700, 1500.0 * r + 700),
                1000.0,
                is_missing=(r, c) == (0, 1),
                tissue_fraction=0.75,
                case=f"P{c}" if c else "",
                columns={"block": "2"} if c else {},
            )
            for r in range(rows)
            for c in range(columns)
        )
    )


def qupath_core(name: str | None, x: float, y: float, side: float, **told: object) -> dict:
    """As QuPath 0.5 writes it."""
    ring = [
        [x, y + side / 2],
        [x + side / 2, y],
        [x + side, y + side / 2],
        [x + side / 2, y + side],
    ]
    properties = {"objectType": "tmaCore", "isMissing": False, **told}
    return {
        "type": "Feature",
        "id": "5b9b4c0e-6a1c-4a52-a4f3-0c0c1f3f7a11",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]], "isEllipse": True},
        "properties": properties if name is None else {**properties, "name": name},
    }


def written(path: Path, features: list[dict]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_grid_comes_back(tmp_path: Path) -> None:
    grid = grid_of(3, 2)
    write_tma(grid, tmp_path / "grid.geojson", MPP)
    again = read_tma(tmp_path / "grid.geojson")
    assert [(c.name, c.row, c.column, c.is_missing, c.case, c.columns) for c in again.cores] == [
        (c.name, c.row, c.column, c.is_missing, c.case, c.columns) for c in grid.cores
    ]
    for one, other in zip(grid.cores, again.cores, strict=True):
        assert other.center_um == pytest.approx(one.center_um, abs=0.01 * MPP)
        assert other.diameter_um == pytest.approx(one.diameter_um, abs=0.02 * MPP)
        assert other.tissue_fraction == 0.75
    first = (tmp_path / "grid.geojson").read_bytes()
    write_tma(again, tmp_path / "again.geojson", MPP)
    assert (tmp_path / "again.geojson").read_bytes() == first


def test_file_is_what_qupath_reads(tmp_path: Path) -> None:
    write_tma(grid_of(2, 2), tmp_path / "grid.geojson", MPP)
    features = json.loads((tmp_path / "grid.geojson").read_text())["features"]
    missing = features[1]
    assert missing["properties"]["objectType"] == "tmaCore"
    assert missing["properties"]["isMissing"] is True
    assert missing["properties"]["metadata"] == {"Case ID": "P1", "block": "2"}
    assert missing["geometry"]["isEllipse"] is True
    x = [point[0] for point in missing["geometry"]["coordinates"][0]]
    # 2200 ± 500 µm at 0.25 µm/px
    assert (min(x), max(x)) == (6800.0, 10800.0)


def test_regions_are_the_cores_that_are_there(tmp_path: Path) -> None:
    write_tma(grid_of(2, 2), tmp_path / "grid.geojson", MPP)
    regions = read_regions(tmp_path / "grid.geojson")
    assert [(r.name, r.role) for r in regions] == [
        ("A-1", "Include"),
        ("B-1", "Include"),
        ("B-2", "Include"),
    ]
    assert regions[0].polygon_um.bounds == pytest.approx((200, 200, 1200, 1200), abs=0.01)


def test_grid_of_qupath_with_its_own_names(tmp_path: Path) -> None:
    # columns lettered, rows numbered, as QuPath can be told to; and an annotation beside
    cores = [
        qupath_core(f"{'AB'[c]}{r + 1}x", 4000 * c, 4000 * r, 3000, metadata={"Unique ID": f"P{r}"})
        for r in range(2)
        for c in range(2)
    ]
    cores[3]["properties"]["isMissing"] = True
    beside = {**cores[0], "properties": {"objectType": "annotation", "name": "fold"}}
    grid = read_tma(written(tmp_path / "qupath.geojson", [*cores, beside]), MPP)
    told = [(c.name, c.row, c.column, c.case, c.is_missing) for c in grid.cores]
    assert told == [
        ("A1x", 0, 0, "P0", False),
        ("B1x", 0, 1, "P0", False),
        ("A2x", 1, 0, "P1", False),
        ("B2x", 1, 1, "P1", True),
    ]
    assert grid.cores[1].center_um == (1375.0, 375.0)
    assert grid.cores[1].diameter_um == 750.0


def test_names_tell_positions(tmp_path: Path) -> None:
    cores = [qupath_core(name, 10, 10, 100) for name in ("B-3", "A1")]
    grid = read_tma(written(tmp_path / "named.geojson", cores), MPP)
    assert [(c.name, c.row, c.column) for c in grid.cores] == [("A1", 0, 0), ("B-3", 1, 2)]


def test_file_without_cores(tmp_path: Path) -> None:
    beside = {**qupath_core(None, 0, 0, 50), "properties": {"objectType": "annotation"}}
    path = written(tmp_path / "fold.geojson", [beside])
    assert grid_in(path) is None
    with pytest.raises(BadTable, match=r"fold\.geojson holds no TMA core; export"):
        read_tma(path)


def test_pixels_need_a_size(tmp_path: Path) -> None:
    path = written(tmp_path / "core.geojson", [qupath_core("A-1", 0, 0, 50)])
    with pytest.raises(MissingPixelSize, match="--mpp"):
        read_tma(path)


def test_cores_that_form_no_grid(tmp_path: Path) -> None:
    places = [(0, 0), (900, 37), (350, 610), (1200, 1330), (90, 1500)]
    path = written(
        tmp_path / "heap.geojson",
        [qupath_core(f"core {i}!", x, y, 300) for i, (x, y) in enumerate(places)],
    )
    with pytest.raises(BadTable, match="no rows and columns"):
        read_tma(path, MPP)


@pytest.mark.parametrize("row", [float("inf"), 1e300, -3, 0.2])
def test_absurd_row_is_not_believed(tmp_path: Path, row: float) -> None:
    core = qupath_core("B-2", 0, 0, 50, measurements={"TMA row": row, "TMA column": 1})
    grid = read_tma(written(tmp_path / "absurd.geojson", [core]), MPP)
    assert (grid.cores[0].row, grid.cores[0].column) == (1, 1)

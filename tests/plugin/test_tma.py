"""A tissue microarray in the widget: found, scored by core, marked, named, saved."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Shapes

from napari_past.io import read_cells
from napari_past.plugin.tma_cores import NO_CORE, grid_of_regions, regions_of_cores, renamed
from napari_past.sample.microarray import ArrayPlan, draw_microarray
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.tma import TmaCore, TmaGrid, core_name, read_tma, write_tma
from napari_past.types import INCLUDE, Region

MPP = 0.5
"""Of the drawn slide."""


def small_grid() -> TmaGrid:
    """Six discs of 100 µm on the drawn slide of 450 x 320 µm; A-3 is missing."""
    return TmaGrid(
        tuple(
            TmaCore(core_name(r, c), r, c, (90.0 + 130 * c, 90.0 + 130 * r), 100.0,
                    is_missing=(r, c) == (0, 2))
            for r in range(2)
            for c in range(3)
        )
    )  # fmt: skip


def test_cores_become_regions_and_come_back() -> None:
    regions = regions_of_cores(small_grid())
    assert [r.role for r in regions] == [INCLUDE, INCLUDE, NO_CORE, INCLUDE, INCLUDE, INCLUDE]
    assert regions[2].ignored
    fold = Region("fold", "Ignore*", regions[0].polygon_um)
    told = {"A-1": {"case": "P1", "block": "2"}, "A-3": {"case": "P2"}}
    grid = grid_of_regions([fold, *regions], told)
    assert grid is not None
    for core, again in zip(small_grid().cores, grid.cores, strict=True):
        assert (again.name, again.is_missing) == (core.name, core.is_missing)
        assert again.center_um == pytest.approx(core.center_um)
        assert again.diameter_um == pytest.approx(core.diameter_um)
    assert (grid.cores[0].case, grid.cores[0].columns) == ("P1", {"block": "2"})
    assert grid.cores[2].case == "P2"
    assert grid_of_regions([fold], told) is None


def test_renamed_cores_change_places_with_all_that_is_told() -> None:
    regions = regions_of_cores(small_grid())
    named, told = renamed(regions, {"A-1": {"case": "P1"}}, "A-1", "B-2")
    assert [r.name for r in named] == ["B-2", "A-2", "A-3", "B-1", "A-1", "B-3"]
    assert told == {"B-2": {"case": "P1"}}


def regions_layer(viewer: object) -> Shapes:
    (layer,) = [each for each in viewer.layers if isinstance(each, Shapes)]  # type: ignore[attr-defined]
    return layer


def test_cores_on_the_slide(opened: Callable, qtbot, tmp_path: Path) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened()
    cores_are_scored(viewer, widget, qtbot, tmp_path)
    viewer.layers.clear()
    cores_are_found(viewer, widget, qtbot, tmp_path)


def cores_are_found(viewer, widget, qtbot, tmp_path: Path) -> None:
    array = draw_microarray(ArrayPlan(rows=3, columns=4, missing=0.2), 20.0, 2)
    write_pyramid(tmp_path / "array.ome.tif", array.rgb, 20.0, "array", jpeg=False)
    box = widget.panel.regions.tma
    assert not box.menu.actions()[0].isEnabled()
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        viewer.open(str(tmp_path / "array.ome.tif"), plugin="napari-past")
    qtbot.waitUntil(box.menu.actions()[0].isEnabled)
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        box.find.emit(None)
    assert box.note.text() == "3 rows x 4 columns: 10 cores, 2 missing"
    layer = regions_layer(viewer)
    names = [core_name(r, c) for r in range(3) for c in range(4)]
    assert list(layer.features["name"]) == names
    assert [role == NO_CORE for role in layer.features["role"]] == (~array.present).ravel().tolist()
    for region, place in zip(widget.regions(), array.centers_um.reshape(-1, 2), strict=True):
        assert np.hypot(*(np.array(region.polygon_um.centroid.coords[0]) - place)) < 250
    # named where there is room for it
    viewer.scene.camera.zoom = 60 / 1000
    widget._tma.follow_camera()
    assert layer.text.values.tolist() == names
    assert layer.text.visible
    viewer.scene.camera.zoom = 20 / 1000
    widget._tma.follow_camera()
    assert not layer.text.visible
    widget._annotating.undo()
    assert widget._tma.grid is None
    widget._annotating.redo()
    assert len(widget._tma.grid.missing) == 2


def cores_are_scored(viewer, widget, qtbot, tmp_path: Path) -> None:
    box, tma = widget.panel.regions.tma, widget._tma
    write_tma(small_grid(), tmp_path / "grid.geojson", MPP)
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        box.read.emit(str(tmp_path / "grid.geojson"))

    def scored() -> dict[str, int]:
        return {row.region: row.n for row in widget.scores.rows if row.region != "slide"}

    assert list(scored()) == ["A-1", "A-2", "B-1", "B-2", "B-3"]
    assert all(n > 0 for n in scored().values())
    layer = regions_layer(viewer)
    layer.selected_data = {1}
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        box.swap_missing.emit()
    assert list(scored()) == ["A-1", "B-1", "B-2", "B-3"]
    assert box.note.text() == "2 rows x 3 columns: 4 cores, 2 missing"
    widget._annotating.undo()
    assert [core.name for core in tma.grid.missing] == ["A-3"]

    (tmp_path / "cases.csv").write_text("core,case\nA1,P1\nB3,P1\n", encoding="utf-8")
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        box.cases.emit(str(tmp_path / "cases.csv"))
    assert box.note.text().endswith(", 1 case")
    shown = widget.panel.regions.table.item(0, 0)
    assert shown.text() == "A-1\nP1"
    assert "case P1" in shown.toolTip()
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        tma.rename("A-1", "A-3")
    assert {core.name: core.case for core in tma.grid.cores if core.case} == {
        "A-3": "P1",
        "B-3": "P1",
    }
    tma.rename("A-3", "control")
    assert "control" not in layer.features["name"].tolist()

    with qtbot.waitSignal(widget.idle, timeout=60_000):
        box.score_colours.setChecked(True)
    assert "Outlines: " in box.note.text()
    edges = {tuple(np.round(edge, 3)) for edge in layer.edge_color}
    assert len(edges) > 2
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        box.write.emit(str(tmp_path / "saved.geojson"))
    saved = read_tma(tmp_path / "saved.geojson")
    assert [(c.name, c.case) for c in saved.cores] == [(c.name, c.case) for c in tma.grid.cores]
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        widget.export_cells_to(tmp_path / "cells.h5ad")
    obs = read_cells(tmp_path / "cells.h5ad").obs
    cores = {core.name for core in tma.grid.present}
    assert cores <= set(obs["core"]) <= {*cores, ""}
    assert set(obs.loc[obs["core"] == "A-3", "case"]) == {"P1"}
    assert set(obs.loc[obs["core"] == "B-1", "case"]) == {""}
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        widget.export_scores_to(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(encoding="utf-8") as f:
        cases = {line["region"]: line["case"] for line in csv.DictReader(f)}
    assert cases["A-3"] == "P1"
    assert cases["B-1"] == ""

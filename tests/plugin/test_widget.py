"""The widget in a real viewer, through the buttons that a user presses."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
from napari.layers import Labels, Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from scipy.spatial import cKDTree

from napari_past.genes import resolve
from napari_past.io import read_cells, read_regions
from napari_past.model.files import read_model_file, write_model_file
from napari_past.plugin.viewport import fly_to, view_rect
from napari_past.space import um_from_world
from napari_past.stain import score_table
from napari_past.types import IGNORE, RESEARCH_USE, TUMOUR, Rect

pytestmark = pytest.mark.gui

LONG_MS = 120_000
MPP = 0.5
"""Of the drawn slide."""


def points_of(viewer) -> Points:
    (layer,) = [layer for layer in viewer.layers if layer.name.endswith("· past-mini")]
    assert isinstance(layer, Points)
    return layer


def messages() -> list[str]:
    return [str(n.message) for n in notification_manager.records]


def click(qtbot, button) -> None:
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_cells_genes_cutoffs_and_models_of_an_analysed_slide(
    opened, drawn, analysed, qtbot, tmp_path: Path
) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened()
    cells_of_an_earlier_run_are_shown_at_once(viewer, widget, drawn, len(analysed))
    another_gene_recolours_the_same_points(viewer, widget, qtbot)
    marker_names_resolve_and_unknown_ones_are_told(widget)
    cutoffs_of_the_users_count_and_can_be_reset(viewer, widget, qtbot)
    qtbot.waitUntil(lambda: not widget.busy)
    marker_that_cannot_be_scored_has_no_score(widget, qtbot)
    qtbot.waitUntil(lambda: not widget.busy)
    bad_model_file_is_told(widget, qtbot, tmp_path)
    a_model_without_a_read_out_shows_nothing_and_says_why(widget, qtbot, tmp_path)


def test_regions_are_asked_for_drawn_scored_and_exported(opened, qtbot, tmp_path: Path) -> None:
    """One viewer for all of it."""
    viewer, widget = opened(show=True)
    wide_views_and_empty_slides_are_told(viewer, widget, qtbot)
    scores_of_regions_stand_in_the_table(viewer, widget, qtbot, tmp_path)


def cells_of_an_earlier_run_are_shown_at_once(viewer, widget, drawn, n_analysed: int) -> None:
    layer = points_of(viewer)
    assert layer.name.endswith("· past-mini")
    assert len(layer.data) == n_analysed
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    # points lie on the nuclei that were drawn
    distance_um, _ = cKDTree(um_from_world(layer.data)).query(drawn.truth.centers_um)
    assert np.median(distance_um) < 1.0
    assert "1 of 1 tiles" in widget.panel.slide.facts.text()
    assert any(isinstance(other, Labels) for other in viewer.layers)
    assert "human breast" in widget.panel.banner.text()
    # Without a bank there are no types to choose, but the user's own classes.
    assert not widget.panel.types.by_type.isVisibleTo(widget.panel)
    assert widget.panel.types.by_class.isVisibleTo(widget.panel)
    assert RESEARCH_USE in [
        label.text() for label in widget.findChildren(type(widget.panel.status))
    ]


def another_gene_recolours_the_same_points(viewer, widget, qtbot) -> None:
    layer = points_of(viewer)
    data, before = layer.data.copy(), layer.face_color.copy()
    with qtbot.waitSignal(widget.cells_changed, timeout=5000):
        widget.panel.gene.set_gene("KRT19")
    assert not widget._stainer.busy  # no tile was run again
    assert points_of(viewer) is layer
    assert layer.name == "KRT19 · past-mini"
    npt.assert_array_equal(layer.data, data)
    assert np.abs(layer.face_color - before).max() > 0.1
    assert widget.panel.gene.meaning.text().startswith("→ KRT19")
    assert "past" not in widget.panel.gene.badge.text()
    values = widget.cells.expression(["KRT19"])[:, 0]
    unit = widget.cells.model.card.expression_unit
    npt.assert_allclose(layer.features[f"KRT19 ({unit})"], values)
    status = layer.get_status(layer.data[0], world=True)
    assert unit in status["coordinates"]
    assert np.array_equal(widget.shown.values, values)


def marker_names_resolve_and_unknown_ones_are_told(widget) -> None:
    widget.panel.gene.set_gene("her-2")
    assert "ERBB2" in widget.panel.gene.meaning.text()
    widget.panel.gene.set_gene("NOSUCHGENE")
    assert "NOSUCHGENE" in widget.panel.gene.meaning.text()
    assert widget.panel.gene.current.symbols == ("ERBB2",)
    assert widget.panel.gene.badge.text() == "still shown: ERBB2 (HER2)"
    widget.panel.gene.set_gene("her-2")
    assert "ERBB2" in widget.panel.gene.meaning.text()
    assert "r 0." in widget.panel.gene.badge.text()


def scores_of_regions_stand_in_the_table(viewer, widget, qtbot, tmp_path: Path) -> None:
    widget.panel.gene.set_gene("ERBB2")
    click(qtbot, widget.panel.regions.draw)
    layer = viewer.layers["Regions"]
    box = np.array([[0, 0], [0, 250], [320, 250], [320, 0]])
    fold = np.array([[0, 0], [0, 450], [60, 450], [60, 0]])
    layer.add_polygons([box])
    layer.add_polygons([fold])
    layer.selected_data = {1}
    widget.panel.regions.role.setCurrentText(IGNORE)
    widget.panel.regions.role_chosen.emit(IGNORE)
    qtbot.waitUntil(lambda: widget.scores is not None and widget.scores.rows[0].role == TUMOUR)
    x, y = widget.cells.centers_um.T
    qtbot.waitUntil(lambda: widget.scores.excluded > 0)
    inside = (x < 250) & (y < 320)
    row, slide = widget.scores.rows
    assert row.n == (inside & (y > 60)).sum()
    assert row.excluded == (inside & (y <= 60)).sum()
    assert widget.scores.excluded == ((x < 450) & (y <= 60)).sum()
    assert slide.n == len(x) - widget.scores.excluded
    qtbot.waitUntil(lambda: not widget.busy)
    expected = score_table(
        widget.shown.values, widget.cells.centers_um, widget.shown.cutoffs, widget.regions()
    )
    assert (row.h_score, row.n3) == (expected.rows[0].h_score, expected.rows[0].n3)
    table = widget.panel.regions.table
    assert table.item(0, 0).text() == "Region 1\nTumour"
    assert table.item(0, 1).text() == str(row.n)
    assert "nuclei in Tumour regions" in widget.panel.regions.note.text()

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.panel.export.regions_to.emit(str(tmp_path / "regions.geojson"))
    back = read_regions(tmp_path / "regions.geojson", MPP)
    assert [(r.name, r.role) for r in back] == [(r.name, r.role) for r in widget.regions()]
    npt.assert_allclose(
        [r.polygon_um.area for r in back], [r.polygon_um.area for r in widget.regions()]
    )

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_scores_to(tmp_path / "scores.csv")
    line = (tmp_path / "scores.csv").read_text().splitlines()[1]
    assert line.startswith(f"Region 1,Tumour,{row.n},{row.n0},")

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(tmp_path / "cells.h5ad")
    back = read_cells(tmp_path / "cells.h5ad")
    assert back.n_obs == len(widget.cells)
    assert (back.obs["regions"] == "Region 1").sum() == row.n

    table.cellDoubleClicked.emit(0, 0)
    seen = view_rect(viewer)
    assert seen.contains(np.array([[1.0, 1.0], [249.0, 319.0]])).all()


def cutoffs_of_the_users_count_and_can_be_reset(viewer, widget, qtbot) -> None:
    widget.panel.gene.set_gene("ERBB2")
    box = widget.panel.cutoffs
    card = box.cutoffs
    box.as_classes.setChecked(True)
    box.spins[2].setValue(99.0)
    assert widget.shown.cutoffs.source == "set by you"
    qtbot.waitUntil(lambda: widget.scores is not None and widget.scores.rows[0].n3 == 0)
    assert "3+" not in set(points_of(viewer).features["class"])
    box.reset.click()
    assert widget.shown.cutoffs == card
    box.spins[0].setValue(99.5)  # above the second: not taken
    assert widget.shown.cutoffs == card
    assert "ascend" in box.source.text()


def marker_that_cannot_be_scored_has_no_score(widget, qtbot) -> None:
    names = [widget.panel.gene.box.itemText(i) for i in range(widget.panel.gene.box.count())]
    unscorable = [name for name in names if not _scorable(widget, name)]
    assert unscorable, "the model has no marker that cannot be scored"
    widget.panel.gene.set_gene(unscorable[0])
    qtbot.waitUntil(lambda: widget.scores is None)
    assert not widget.panel.cutoffs.as_classes.isEnabled()
    assert "cannot be scored" in widget.panel.regions.note.text()


def _scorable(widget, name: str) -> bool:
    marker = resolve(name, widget.cells.model.genes).marker
    return marker is None or marker.scorable


def test_the_end_of_work_that_nobody_waits_for_is_noticed(docked, qtbot) -> None:
    """Its result is dropped, so that none of the parts says that it ended."""
    _, widget = docked()
    work, going_on = widget._density._latest, threading.Event()
    work.ask(going_on.wait)
    widget._density.changed.emit()
    work.drop()
    assert widget.busy
    with qtbot.waitSignal(widget.idle, timeout=60_000):
        going_on.set()


def test_missing_pixel_size_is_asked_for(docked, qtbot, data_dir: Path) -> None:
    viewer, widget = docked()
    path = data_dir / "slides" / "edge" / "invalid_resolutions_tiff.tif"
    (layer,) = viewer.open(str(path), plugin="napari-past")
    note = viewer.add_shapes(
        [np.array([[0, 0], [0, 10], [10, 10], [10, 0]])], shape_type="polygon", name="note"
    )
    slide = widget.panel.slide
    assert slide.asking
    assert not slide.apply.isEnabled()
    assert not widget.panel.stain_view.isEnabled()
    slide.mpp.setValue(0.5)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, slide.apply)
    assert not slide.asking
    npt.assert_allclose(layer.scale, 0.5)
    npt.assert_allclose(layer.translate, 0.25)
    npt.assert_allclose(note.scale, 0.5)
    assert {str(u) for each in viewer.layers for u in each.units} == {"micrometer"}
    assert slide.facts.text().startswith("0.5 µm/px")


def wide_views_and_empty_slides_are_told(viewer, widget, qtbot) -> None:
    fly_to(viewer, Rect(5000, 5000, 100, 100))
    click(qtbot, widget.panel.stain_view)
    assert "not in view" in messages()[-1]
    click(qtbot, widget.panel.stain_regions)
    assert "no region" in messages()[-1]
    assert not widget._stainer.running


def bad_model_file_is_told(widget, qtbot, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no model")
    before = len(notification_manager.records)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.load_model_file(str(path))
    assert any("broken.safetensors" in m for m in messages()[before:])
    assert widget.cells is not None


def test_view_is_stained_cancelled_and_leaves_no_process(
    docked,
    qtbot,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    worker_processes,
) -> None:
    monkeypatch.setenv("NAPARI_PAST_CACHE", str(tmp_path))  # other tests analyse this slide too
    others = worker_processes()
    viewer, widget = docked(show=True)
    viewer.window.resize(1000, 800)
    path = data_dir / "slides" / "CMU-1-Small-Region.svs"
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(path), plugin="napari-past")
    assert widget.cells is not None
    assert len(widget.cells) == 0

    fly_to(viewer, Rect(300, 300, 150, 150))
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, widget.panel.stain_view)
    first = len(widget.cells)
    assert first > 20
    seen = view_rect(viewer)
    inside = seen.contains(um_from_world(points_of(viewer).data))
    assert inside.sum() > 10
    assert f"({analysed_tiles(widget)} of 6 tiles)" in widget.panel.regions.note.text()

    # the rest of the slide, cancelled at its first tile: what is finished is kept and shown
    before = analysed_tiles(widget)
    widget._stainer.arrived.connect(widget.cancel)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        click(qtbot, widget.panel.stain_slide)
    assert len(widget.cells) >= first
    assert before < analysed_tiles(widget) < 6

    workers = worker_processes() - others
    assert workers
    viewer.close()
    qtbot.waitUntil(lambda: not any(p.is_running() for p in workers), timeout=30_000)


def a_model_without_a_read_out_shows_nothing_and_says_why(widget, qtbot, tmp_path: Path) -> None:
    card, tensors, _ = read_model_file(Path(widget._model.path))
    bare = {
        "name": "bare", "genes": (), "cutoffs": {}, "unlike_training_limit": None,
        "slide_unlike_limit": None,
        "evidence": card.evidence.model_copy(update={"r": {}, "detected": {}}),
    }  # fmt: skip
    tower = {key: value for key, value in tensors.items() if key.startswith("tower.")}
    path = write_model_file(tmp_path / "bare.safetensors", card.model_copy(update=bare), tower)

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.load_model_file(str(path))
    assert widget.shown is None
    assert not any(layer.visible for layer in (widget.view.points, widget.view.outlines))
    widget.export_cells_to(tmp_path / "cells.csv")
    assert "bare has no read-out" in messages()[-1]

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.load_model_file("past-mini")
    assert widget.shown is not None
    assert widget.view.points.visible
    assert widget.view.outlines.visible
    box = widget.panel.models.box
    assert "bare" in [box.itemText(i) for i in range(box.count())]

    told = len(messages())
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.load_model_file(str(tmp_path / "none.safetensors"))
    assert "There is no model" in messages()[told]
    assert box.currentText() == "past-mini"


def analysed_tiles(widget) -> int:
    """Of the line "0.499 µm/px · 1.1 x 1.5 mm · 4 of 6 tiles analysed"."""
    return int(widget.panel.slide.facts.text().split(" · ")[2].split(" of ")[0])

"""Near and far, two genes, one cell, notes and the way back: what is seen and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.plugin import cell_points, slide_view
from napari_past.plugin.pointer import PICKED, nearest_cell
from napari_past.plugin.unscored_layer import LAYER_NAME as NOT_SCORED
from napari_past.plugin.viewport import fly_to
from napari_past.quality import UNSCORED_KINDS, QualityMask
from napari_past.types import Rect, TileSpec

pytestmark = pytest.mark.gui


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> int:
    """As if 100 cells in view were more than can be drawn."""
    for module in (slide_view, cell_points):
        monkeypatch.setattr(module, "MOST_POINTS", 100)
    return 100


def layer(viewer, name: str):
    return next((each for each in viewer.layers if each.name == name), None)


def test_near_and_far(crowded: int, opened, qtbot) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened(show=True)
    from_afar_a_map_and_from_near_points(crowded, viewer, widget, qtbot)
    hidden_points_can_become_fewer(viewer, widget, qtbot)


def from_afar_a_map_and_from_near_points(crowded: int, viewer, widget, qtbot) -> None:
    widget.panel.gene.set_gene("ERBB2")
    viewer.reset_view()
    qtbot.waitUntil(lambda: widget.view.from_afar)
    drawn = layer(viewer, "ERBB2 · past-mini (map)")
    points = layer(viewer, "ERBB2 · past-mini")
    assert drawn.visible
    assert points is None or not points.visible

    fly_to(viewer, Rect(100, 100, 60, 40))
    qtbot.waitUntil(lambda: not widget.view.from_afar)
    points = layer(viewer, "ERBB2 · past-mini")
    assert points.visible
    assert not drawn.visible
    assert 0 < len(points.data) <= crowded
    # every cell in sight is drawn, in the colours that the map has for a bin of one cell
    seen = widget.cells.in_rect(Rect(100, 100, 60, 40))
    assert set(seen) <= set(widget.view.drawn)
    finest = widget.view._map.levels[0]
    place = (widget.cells.centers_um / finest.bin_um).astype(int)
    alone = [i for i in widget.view.drawn if (place == place[i]).all(axis=1).sum() == 1]
    assert alone
    for i in alone[:20]:
        rgba = finest.rgba[place[i, 1], place[i, 0]] / 255
        k = int(np.flatnonzero(widget.view.drawn == i)[0])
        npt.assert_allclose(points.face_color[k], rgba, atol=0.03)

    widget.panel.gene.set_gene("KRT19")
    viewer.reset_view()
    qtbot.waitUntil(lambda: widget.view.from_afar)
    assert layer(viewer, "KRT19 · past-mini (map)").visible
    assert len([each for each in viewer.layers if "past-mini" in each.name]) == 2


def hidden_points_can_become_fewer(viewer, widget, qtbot) -> None:
    widget.panel.gene.set_gene("ERBB2")
    fly_to(viewer, Rect(100, 100, 80, 60))
    qtbot.waitUntil(lambda: not widget.view.from_afar)
    points = layer(viewer, "ERBB2 · past-mini")
    assert points.visible
    before = len(points.data)
    points.visible = False
    fly_to(viewer, Rect(100, 100, 30, 20))
    qtbot.waitUntil(lambda: 0 < len(points.data) < before)
    widget.panel.gene.set_gene("KRT19")
    points.visible = True
    assert len(points._view_data) == len(points.data)


def test_cells_that_come_out_of_sight_leave_the_canvas_alone(
    crowded: int, opened, qtbot, monkeypatch
) -> None:
    viewer, widget = opened(show=True)
    fly_to(viewer, Rect(100, 100, 60, 40))
    qtbot.waitUntil(lambda: layer(viewer, "Nuclei outlines") is not None)
    table, view = widget.cells, widget.view
    first = table.tiles[0]
    nearby = widget.session.store.read(first)
    far = TileSpec(first.column + 100, first.row, first.size_um)
    away = replace(nearby.cells, centers_um=nearby.cells.centers_um + [100 * first.size_um, 0])
    drawn = []
    monkeypatch.setattr(slide_view, "update_points", lambda *a: drawn.append("points"))
    monkeypatch.setattr(view, "_redraw_outlines", lambda *a: drawn.append("outlines"))
    assert table.append([replace(nearby, tile=far, cells=away)]) > 0
    view.grow()
    assert len(view.shown.values) == len(table)
    assert not drawn
    widget.panel.gene.set_gene("KRT19")
    assert drawn == ["points"]


def test_what_a_gene_and_a_cell_are_told_by(opened) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened(show=True)
    two_genes_share_a_picture_and_a_legend(viewer, widget)
    colours_and_limits_follow_the_user(viewer, widget)
    a_cell_is_told_under_the_pointer_and_kept_by_a_click(viewer, widget)


def two_genes_share_a_picture_and_a_legend(viewer, widget) -> None:
    widget.panel.gene.set_gene("ERBB2")
    widget.panel.second.set_gene("KRT19")
    widget.panel.compare.setChecked(True)
    assert layer(viewer, "ERBB2 | KRT19 · past-mini") is not None
    assert "ERBB2" in widget.panel.cutoffs.legend.text()
    assert "KRT19" in widget.panel.cutoffs.legend.text()
    assert widget.panel.second.badge.text().startswith("same patient")
    widget.panel.compare.setChecked(False)
    assert layer(viewer, "ERBB2 · past-mini") is not None


def colours_and_limits_follow_the_user(viewer, widget) -> None:
    widget.panel.gene.set_gene("ERBB2")
    look = widget.panel.look
    automatic = widget.shown.limits
    before = layer(viewer, "ERBB2 · past-mini").face_color.copy()
    look.colormap.setCurrentText("magma")
    assert np.abs(layer(viewer, "ERBB2 · past-mini").face_color - before).max() > 0.1
    look.high.setValue(99.0)
    assert widget.shown.limits[1] == 99.0
    assert "99.00" in widget.panel.cutoffs.legend.text()
    look.automatic.click()
    assert widget.shown.limits == automatic


def a_cell_is_told_under_the_pointer_and_kept_by_a_click(viewer, widget) -> None:
    widget.panel.gene.set_gene("ERBB2")
    table, cell = widget.cells, 17
    fly_to(viewer, Rect(*(table.centers_um[cell] - 30), 60, 60))
    assert nearest_cell(table, table.centers_um[cell] + 0.2, 6.0) == cell
    assert nearest_cell(table, np.array([-500.0, -500.0]), 6.0) is None
    widget._pointer.hovered.emit(cell)
    facts = widget.panel.cell.facts
    assert facts.id == table.cell_id(cell)
    assert facts.genes[0].value.startswith(f"{widget.shown.values[cell]:.2f} ")
    assert "same patient" in facts.genes[0].reliability
    assert facts.class_name in ("Negative", "1+", "2+", "3+")
    flagged = table.unlike_training[cell] > 1
    assert ("unlike" in facts.flag) == flagged or "promise" in facts.flag
    widget._pointer.hovered.emit(-1)
    assert widget.panel.cell.facts is None

    widget._pointer.picked.emit(cell)
    npt.assert_allclose(viewer.layers[PICKED].data[0], table.centers_um[cell][::-1])
    widget._pointer.hovered.emit(-1)
    assert widget.panel.cell.facts.id == table.cell_id(cell)  # the picked one stays
    widget._pointer.picked.emit(-1)
    assert PICKED not in viewer.layers


def test_what_was_said_comes_back_and_can_be_undone(opened, qtbot) -> None:
    viewer, widget = opened()
    cell = notes_and_cutoffs_can_be_undone(widget)
    regions_can_be_undone(viewer, widget, qtbot)
    viewer.close()  # saved without being asked

    _, other = opened()
    other.panel.gene.set_gene("ERBB2")
    assert other._annotating.cell_notes == {cell: "mitosis?"}
    assert other.shown.cutoffs.strong == 77.0
    other._inspecting.pick(3)
    assert other.panel.cell.note.text() == "mitosis?"
    assert [r.name for r in other.regions()] == ["Region 1", "Region 2"]
    assert other._annotating.region_notes == {"Region 2": "fold at its edge"}


def notes_and_cutoffs_can_be_undone(widget) -> str:
    widget.panel.gene.set_gene("ERBB2")
    cell = widget.cells.cell_id(3)
    widget._inspecting.pick(3)
    widget.panel.cell.note_changed.emit(cell, "mitosis?")
    widget.panel.cutoffs.spins[2].setValue(77.0)
    assert widget.shown.cutoffs.strong == 77.0
    widget._annotating.undo()
    assert widget.shown.cutoffs.strong != 77.0
    assert widget._annotating.cell_notes == {cell: "mitosis?"}
    widget._annotating.undo()
    assert widget._annotating.cell_notes == {}
    widget._annotating.redo()
    widget._annotating.redo()
    assert widget.shown.cutoffs.strong == 77.0
    return cell


def regions_can_be_undone(viewer, widget, qtbot) -> None:
    widget.panel.regions.draw.click()
    shapes = viewer.layers["Regions"]
    shapes.add_polygons([np.array([[0, 0], [0, 250], [320, 250], [320, 0]])])
    qtbot.waitUntil(lambda: len(widget._annotating._history.now.regions) == 1)
    shapes.add_polygons([np.array([[0, 0], [0, 50], [60, 50], [60, 0]])])
    qtbot.waitUntil(lambda: len(widget._annotating._history.now.regions) == 2)
    widget._annotating.undo()
    assert [r.name for r in widget.regions()] == ["Region 1"]
    qtbot.waitUntil(lambda: not widget._region_scores.settling)
    widget._annotating.redo()
    assert [r.name for r in widget.regions()] == ["Region 1", "Region 2"]
    widget._annotating.set_region_note("Region 2", "fold at its edge")


def test_what_is_not_scored_is_left_out_unless_counted(opened, qtbot) -> None:
    viewer, widget = opened()
    widget.panel.gene.set_gene("ERBB2")
    qtbot.waitUntil(lambda: not widget.busy)
    labels = np.zeros((40, 57), np.uint8)
    labels[:, :20] = UNSCORED_KINDS.index("blur") + 1
    widget._unscored.set_mask(QualityMask(labels, 8.0, "drawn by the test"))
    left = int((widget.cells.centers_um[:, 0] < 160).sum())
    assert left > 10
    qtbot.waitUntil(lambda: widget.scores is not None and widget.scores.unscored == left)
    assert widget.scores.rows[0].n == len(widget.cells) - left
    assert "blur 0.05 mm²" in widget.panel.regions.unscored.note.text()
    widget.panel.regions.unscored.count.setChecked(True)
    qtbot.waitUntil(lambda: widget.scores.rows[0].n == len(widget.cells))
    widget.panel.regions.unscored.count.setChecked(False)

    # the eraser takes it back
    mask = viewer.layers[NOT_SCORED]
    widget.panel.regions.unscored.paint.click()
    assert mask.mode == "paint"
    mask.data_setitem((np.arange(40).repeat(10), np.tile(np.arange(10), 40)), 0)
    qtbot.waitUntil(lambda: widget._unscored.mask.source == "edited", timeout=5_000)
    still = int(
        ((widget.cells.centers_um[:, 0] >= 80) & (widget.cells.centers_um[:, 0] < 160)).sum()
    )
    qtbot.waitUntil(lambda: widget.scores.unscored == still)
    edited = widget._unscored.mask.labels.copy()
    viewer.close()

    _, other = opened()
    qtbot.waitUntil(lambda: not other.busy, timeout=20_000)
    npt.assert_array_equal(other._unscored.mask.labels, edited)
    assert other.scores.unscored == still

"""Classes by a few clicks in a real viewer, through what a user presses."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import numpy.testing as npt
import pytest
import shapely
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QShortcut
from scipy.spatial import cKDTree

from napari_past.io import read_cells
from napari_past.model.classifier import read_classifier
from napari_past.plugin.cell_types import BETWEEN, TYPE_COLOURS
from napari_past.plugin.classing.marks import AREAS, LABELLED, SUGGESTED
from napari_past.plugin.colouring import CLASSES_LAYER
from napari_past.plugin.viewport import view_rect
from napari_past.space import world_from_um
from napari_past.types import RESEARCH_USE, Rect

pytestmark = pytest.mark.gui

LONG_MS = 60_000


def settle(qtbot, widget) -> None:
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    qtbot.wait(10)


def name_classes(qtbot, widget, *names: str) -> None:
    box = widget.panel.classes
    widget.panel.types.by_class.click()
    for name in names:
        qtbot.keyClicks(box.name, name)
        qtbot.keyClick(box.name, Qt.Key.Key_Return)


@pytest.fixture
def kinds(drawn) -> Callable[[object], np.ndarray]:
    """``kinds(table)``: what each cell was drawn as."""

    def of(table) -> np.ndarray:
        _, nearest = cKDTree(drawn.truth.centers_um).query(table.centers_um)
        return np.array(drawn.truth.kinds)[nearest]

    return of


def label_some(qtbot, widget, kind: np.ndarray, names: list[str], each: int = 5) -> None:
    rng = np.random.default_rng(4)
    for code, name in enumerate(names):
        widget.panel.classes.rows.chosen.emit(code)
        for cell in rng.choice(np.flatnonzero(kind == name), each, replace=False).tolist():
            widget._pointer.picked.emit(cell)
    settle(qtbot, widget)


def test_a_few_clicks_class_the_slide(opened, kinds, qtbot) -> None:
    viewer, widget = opened()
    panel, table = widget.panel, widget.cells
    box, kind = panel.classes, kinds(table)
    names = sorted(set(kind))
    assert not box.isVisibleTo(panel)
    widget._pointer.picked.emit(3)
    assert panel.cell.facts.id == table.cell_id(3)

    name_classes(qtbot, widget, *names)
    assert box.isVisibleTo(panel)
    assert not panel.gene.isVisibleTo(panel)
    assert box.label.isChecked()
    label_some(qtbot, widget, kind, names)
    # A click that labels keeps no cell.
    assert panel.cell.facts.id == table.cell_id(3)
    cells = widget._probing.cells
    assert cells.names == tuple(names)
    assert len(cells) == len(table) > 200
    found = np.array(names)[cells.types.code]
    _, counts = np.unique(kind, return_counts=True)
    assert np.mean(found == kind) > counts.max() / len(kind)  # better than the commonest kind
    assert np.mean(found == kind) > 0.8
    # The classes that the layer shows are these, by the colours of the rows.
    shown = widget.view.types.shown
    least = box.least_probability
    labels = np.where(cells.types.margin < least, BETWEEN, cells.types.code + 1)
    npt.assert_array_equal(shown.labels(np.arange(len(table))), labels)
    layer = viewer.layers[CLASSES_LAYER]
    assert layer.visible
    assert not widget.view.points.visible
    assert set(np.unique(layer.data)) <= {0, *labels.tolist()}
    npt.assert_allclose(layer.colormap.map(1)[:3] * 255, TYPE_COLOURS[0], atol=1)
    # The legend counts them, and what it stands on is told.
    for code, name in enumerate(names):
        n = int((labels == code + 1).sum())
        assert f"{name}: 5 {n:,}  ({100 * n / len(table):.0f} %)" in box.rows.text()
    assert (labels == BETWEEN).any() == ("uncertain" in box.rows.text())
    told = box.honesty.text()
    assert told.startswith(f"Fitted on {5 * len(names)} labelled cells (clicks) of this slide; ")
    assert "not validated" in told or "held-out macro-F1" in told
    assert RESEARCH_USE in told
    box.probability.setValue(0.999)
    assert (layer.data == BETWEEN).sum() > (layer.data == 1).sum()
    box.probability.setValue(0.0)
    assert not (layer.data == BETWEEN).any()

    # Undone and done again, by the history of all annotations.
    assert len(viewer.layers[LABELLED].data) == 5 * len(names)
    before = cells.types.code.copy()
    box.undo.click()
    settle(qtbot, widget)
    assert len(viewer.layers[LABELLED].data) == 5 * len(names) - 1
    box.redo.click()
    settle(qtbot, widget)
    npt.assert_array_equal(widget._probing.cells.types.code, before)

    # A cell that is worth labelling is flown to, and its key labels it.
    given = set(widget._probing.labelled.index.tolist())
    box.next.click()
    suggested = widget._classing._suggested
    assert suggested not in given
    x, y = table.centers_um[suggested].tolist()
    view = view_rect(viewer)
    assert view.x_um < x < view.x1_um
    assert view.y_um < y < view.y1_um
    npt.assert_allclose(viewer.layers[SUGGESTED].data[0], world_from_um(np.array([x, y])))
    assert "What is it? Press its key" in box.hint.text()
    key = next(k for k in widget.findChildren(QShortcut) if k.key().toString() == "2")
    assert key.isEnabled()
    key.activated.emit()  # no window is active without a window manager
    settle(qtbot, widget)
    assert SUGGESTED not in viewer.layers
    labelled = widget._probing.labelled
    assert labelled.code[labelled.index == suggested].tolist() == [1]
    assert f"labelled {names[1]}" in widget._probing.told(suggested)

    # A removed class goes from everywhere; the one that is given next stays. A typed number is
    # text, not a key.
    box.rows.removed.emit(0)
    settle(qtbot, widget)
    assert widget._annotating.classes.names[widget._classing._chosen] == names[1]
    assert widget._probing.cells.names == tuple(names[1:])
    qtbot.keyClicks(box.name, "12")
    assert box.name.text() == "12"
    assert len(widget._probing.labelled) == len(widget._annotating.classes.places)
    # Back at the gene nothing of it is seen, and a click keeps a cell again.
    panel.types.by_gene.click()
    assert not layer.visible
    assert not viewer.layers[LABELLED].visible
    assert widget.view.points.visible
    assert not key.isEnabled()
    widget._pointer.picked.emit(8)
    assert panel.cell.facts.id == table.cell_id(8)


def test_areas_files_and_another_day(docked, opened, kinds, qtbot, tmp_path, drawn) -> None:
    viewer, widget = opened()
    box, table = widget.panel.classes, widget.cells
    kind = kinds(table)
    names = sorted(set(kind))
    name_classes(qtbot, widget, *names)
    label_some(qtbot, widget, kind, names, each=2)
    # An area, drawn with napari's own tool in the colour of its class.
    box.rows.chosen.emit(1)
    box.draw.click()
    layer = viewer.layers[AREAS]
    assert viewer.layers.selection.active == layer
    assert layer.mode == "add_polygon_lasso"
    assert not box.label.isChecked()
    x, y = table.centers_um[np.flatnonzero(kind == names[1])[0]].tolist()
    ring = np.array(shapely.box(x - 15, y - 15, x + 15, y + 15).exterior.coords)[:-1]
    layer.add_polygons([world_from_um(ring)])
    qtbot.waitUntil(lambda: bool(widget._annotating.classes.areas))
    settle(qtbot, widget)
    inside = np.flatnonzero(Rect(x - 15, y - 15, 30, 30).contains(table.centers_um))
    labelled = widget._probing.labelled
    assert set(inside.tolist()) <= set(labelled.index.tolist())
    assert "clicks and regions" in box.honesty.text()
    assert f"{names[1]}: 2 + 1 area" in box.rows.text()
    # It is no region to score.
    assert widget.regions() == ()
    box.draw.click()
    assert layer.mode == "pan_zoom"
    # It comes back with the classes, above a picture that was opened later.
    widget.panel.types.by_gene.click()
    assert not layer.visible
    picture = viewer.add_image(np.zeros((4, 4)), visible=False)
    widget.panel.types.by_class.click()
    settle(qtbot, widget)
    assert layer.visible
    assert viewer.layers.index(layer) > viewer.layers.index(picture)

    # Saved with its card, and carried by what is exported.
    dialog = widget._classing._dialog
    qtbot.waitUntil(box.save.isEnabled)
    box.save.click()
    assert f"{names[0]} 2" in dialog.card.text()
    target = tmp_path / "kinds.past-classes.json"
    dialog.name.setText("drawn kinds")
    dialog.target.set_text(str(tmp_path / "kinds"))
    dialog.save.click()
    kept = read_classifier(target)
    assert (kept.card.name, kept.names) == ("drawn kinds", tuple(names))
    assert sum(kept.card.labelled.values()) == len(labelled)
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(tmp_path / "cells.h5ad")
    back = read_cells(tmp_path / "cells.h5ad")
    types = widget._probing.types
    mine = {table.cell_id(i): names[types.code[i]] for i in range(len(table))}
    assert dict(back.obs["cell_class"].astype(str)) == mine
    # QuPath shows a cell by one classification: that of the classes, which are in view.
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(tmp_path / "cells.geojson")
    features = json.loads((tmp_path / "cells.geojson").read_text(encoding="utf-8"))["features"]
    given = {f["id"]: f["properties"]["classification"]["name"] for f in features}
    assert given == mine
    before = types.code.copy()
    widget._annotating.close()
    viewer.close()

    # Another day: the labels come back with the slide, and give the same classes.
    viewer, widget = docked()
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        viewer.open(str(drawn.path), plugin="napari-past")
    box = widget.panel.classes
    widget.panel.types.by_class.click()
    settle(qtbot, widget)
    npt.assert_array_equal(widget._probing.types.code, before)
    assert len(viewer.layers[AREAS].data) == 1
    # A file takes the labels' place until it is put away; what is no classifier is told.
    viewer.open(str(target), plugin="napari-past")
    settle(qtbot, widget)
    assert widget._probing.loaded is not None
    assert box.honesty.text().startswith("drawn kinds: fitted on ")
    assert not box.label.isVisibleTo(box)
    npt.assert_array_equal(widget._probing.types.code, before)
    box.away.click()
    settle(qtbot, widget)
    assert widget._probing.loaded is None
    told = len(notification_manager.records)
    broken = tmp_path / "broken.past-classes.json"
    broken.write_text(target.read_text(encoding="utf-8").replace("drawn", "other"), "utf-8")
    widget.take_path(broken)
    assert "was changed since it was written" in str(notification_manager.records[told].message)
    assert widget._probing.loaded is None

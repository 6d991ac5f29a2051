"""Cell types and looked-up genes in a real viewer, through what a user presses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
from napari.layers import Labels, Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_past.engine import predict
from napari_past.io import read_cells
from napari_past.plugin.cell_types import BETWEEN, BETWEEN_NAME, TYPE_COLOURS
from napari_past.plugin.facts import NOT_YET
from napari_past.plugin.outline_labels import drawing_mpp
from napari_past.plugin.type_labels import LAYER_NAME
from napari_past.plugin.viewport import fly_to
from napari_past.quality import UNSCORED_KINDS, QualityMask
from napari_past.slide import open_slide
from napari_past.space import um_from_world
from napari_past.types import Rect

pytestmark = pytest.mark.gui

LONG_MS = 120_000


@pytest.fixture
def typed(docked: Callable, drawn, banked_folder: Path, cache_dir: Path, qtbot) -> Callable:
    """A viewer with the drawn slide and the model with a bank: (viewer, widget)."""
    predict(open_slide(drawn.path), model=str(banked_folder), device="cpu").compute()

    def open_typed(**arguments: bool) -> tuple:
        viewer, widget = docked(**arguments)
        load_model(qtbot, widget, str(banked_folder))
        with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
            viewer.open(str(drawn.path), plugin="napari-past")
        return viewer, widget

    return open_typed


def load_model(qtbot, widget, model: str) -> None:
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.load_model_file(model)


def show_types(qtbot, widget) -> None:
    widget.panel.types.by_type.click()
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)


def labels_of(viewer) -> Labels:
    (layer,) = [layer for layer in viewer.layers if layer.name == LAYER_NAME]
    assert isinstance(layer, Labels)
    return layer


def label_at(layer: Labels, xy_um: np.ndarray) -> int:
    """What the layer has at a place of the slide."""
    y, x = np.round(layer.world_to_data(xy_um[::-1])).astype(int)
    return int(layer.data[y, x])


def test_types_are_shown_counted_and_exported(typed, qtbot, tmp_path, banked_folder) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = typed(show=True)
    nuclei_are_filled_with_the_colour_of_their_type(viewer, widget, qtbot)
    show_types(qtbot, widget)
    cells_between_two_types_are_grey_from_a_margin_on(viewer, widget)
    from_afar_bins_and_near_again_nuclei_in_one_layer(viewer, widget, qtbot)
    the_legend_counts_what_is_in_view_and_says_what_it_is(viewer, widget, qtbot)
    exports_have_types(widget, qtbot, tmp_path)
    widget.panel.types.by_gene.click()
    a_bank_that_goes_away_is_told_and_no_former_colours_stay(widget, qtbot, tmp_path, banked_folder)


def test_a_looked_up_gene_comes_piece_by_piece_is_stopped_and_dropped(
    typed, qtbot, gate, banked_folder
) -> None:
    """One viewer for all of it; whenever the model is loaded, nothing has been looked up."""
    viewer, widget = typed(show=True)
    a_looked_up_gene_comes_piece_by_piece_and_can_be_stopped(widget, qtbot, gate)
    widget.panel.gene.set_gene("VIM")
    load_model(qtbot, widget, "past-mini")
    load_model(qtbot, widget, str(banked_folder))
    gate.close()
    another_model_drops_the_look_up_and_the_types(viewer, widget, qtbot, gate)
    # From afar, with the gate open.
    load_model(qtbot, widget, str(banked_folder))
    the_map_of_a_gene_follows_as_values_come(viewer, widget, qtbot)


def test_one_cell_is_looked_up_and_types_alone_look_up_none(typed, qtbot, gate) -> None:
    """One viewer for all of it."""
    _, widget = typed()
    a_picked_cell_tells_its_type_and_its_reference_cells(widget, qtbot, gate)
    gate.close()
    types_alone_have_no_cell_looked_up(widget, qtbot, gate)


def nuclei_are_filled_with_the_colour_of_their_type(viewer, widget, qtbot) -> None:
    table = widget.cells
    assert len(table.types.code) == len(table) > 200  # known before anybody asks
    assert LAYER_NAME not in viewer.layers
    show_types(qtbot, widget)
    fly_to(viewer, Rect(100, 100, 200, 120))
    qtbot.wait(400)
    layer = labels_of(viewer)
    assert layer.visible
    assert not widget.view.points.visible
    shown = widget.view.types.shown
    inside = np.flatnonzero(Rect(110, 110, 180, 100).contains(table.centers_um))
    found = [label_at(layer, table.centers_um[i]) for i in inside]
    expected = shown.labels(inside)
    # Where nuclei overlap a centre may lie in the neighbour.
    assert np.mean(np.array(found) == expected) > 0.97
    assert len(np.unique(expected)) > 1
    code = table.types.code[inside]
    assert len(np.unique(code)) == len(np.unique(expected))
    vectors = np.stack([table.embedding(i) for i in inside])
    npt.assert_array_equal(code, table.model.cell_types(vectors).code)
    # The colour on the canvas is the legend's.
    name = table.types.names[code[0]]
    swatch, _, _ = next(line for line in widget.panel.types.legend._lines if line[1].text() == name)
    red, green, blue = TYPE_COLOURS[expected[0] - 1]
    assert f"rgb({red}, {green}, {blue})" in swatch.styleSheet()
    npt.assert_allclose(
        layer.colormap.map(expected[0])[:3] * 255, TYPE_COLOURS[expected[0] - 1], atol=1
    )
    # Between the nuclei there is nothing, so that the tissue is seen.
    assert (layer.data == 0).mean() > 0.5
    # Lines and regions lie above.
    order = [each.name for each in viewer.layers]
    assert order.index(LAYER_NAME) < order.index("Nuclei outlines")

    widget.panel.types.by_gene.click()
    qtbot.waitUntil(lambda: widget.view.points.visible)
    assert not layer.visible


def the_legend_counts_what_is_in_view_and_says_what_it_is(viewer, widget, qtbot) -> None:
    fly_to(viewer, Rect(100, 100, 200, 120))
    qtbot.wait(400)
    legend, table = widget.panel.types.legend, widget.cells
    height, width = viewer.canvas.size
    corners = [viewer.scene.camera.center[-2:] + np.array(side) / viewer.scene.camera.zoom
               for side in ((-height / 2, -width / 2), (height / 2, width / 2))]  # fmt: skip
    (x0, y0), (x1, y1) = um_from_world(np.array(corners))
    x, y = table.centers_um.T
    inside = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    assert 10 < inside.sum() < len(table)
    names, counts = np.unique(table.types.code[inside], return_counts=True)
    for code, count in zip(names, counts, strict=True):
        share = f"({100 * count / inside.sum():.0f} %)"
        assert f"{table.types.names[code]}: {count:,}  {share}" in legend.text()
    assert f"{inside.sum():,} nuclei in view" in legend.text()
    told = widget.panel.types.honesty.text()
    assert "past-drawn" in told
    assert "not validated" in told
    assert "For research use only" in told

    labels = np.full((40, 57), UNSCORED_KINDS.index("pen") + 1, np.uint8)
    widget._unscored.set_mask(QualityMask(labels, 8.0, "drawn by the test"))
    assert "No typed nucleus is in view" in legend.text()
    assert f"{inside.sum():,} more are not scored" in legend.text()


def cells_between_two_types_are_grey_from_a_margin_on(viewer, widget) -> None:
    box, types = widget.panel.types, widget.cells.types
    assert BETWEEN_NAME not in box.legend.text()
    least = round(float(np.median(types.margin)), 3)
    box.margin.setValue(least)
    assert 0 < (types.margin < least).sum() < len(types.margin)
    assert BETWEEN_NAME in box.legend.text()
    shown, layer = widget.view.types.shown, labels_of(viewer)
    index = np.arange(len(types.code))
    npt.assert_array_equal(shown.labels(index) == BETWEEN, types.margin < least)
    assert (layer.data == BETWEEN).any()
    box.margin.setValue(0.0)
    assert not (layer.data == BETWEEN).any()


def from_afar_bins_and_near_again_nuclei_in_one_layer(viewer, widget, qtbot) -> None:
    layer, shape = labels_of(viewer), labels_of(viewer).data.shape
    viewer.scene.camera.zoom = 0.2
    qtbot.wait(400)
    assert labels_of(viewer) is layer
    assert layer.data.shape == shape
    assert tuple(layer.scale) == (8.0, 8.0)
    # A bin of 32 µm is a block of 4 x 4 pixels of one label.
    filled = np.argwhere(layer.data)
    assert len(filled) > 16
    top, left = (np.array(layer.translate) / 8.0 - 0.5).round().astype(int)
    rows, columns = ((filled + [top, left]) // 4).T
    blocks = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(filled) == 16 * len(blocks)
    fly_to(viewer, Rect(100, 100, 200, 120))
    qtbot.wait(400)
    near = drawing_mpp(1 / viewer.scene.camera.zoom)
    assert near < 2.0
    assert tuple(layer.scale) == (near, near)

    # The eye in the list of layers holds while the view moves, and so does the key.
    layer.visible = False
    fly_to(viewer, Rect(150, 100, 200, 120))
    qtbot.wait(400)
    assert not layer.visible
    widget.view.toggle_stain()
    assert layer.visible
    viewer.layers.remove(layer)
    fly_to(viewer, Rect(100, 100, 200, 120))
    qtbot.waitUntil(lambda: LAYER_NAME in viewer.layers)


def a_picked_cell_tells_its_type_and_its_reference_cells(widget, qtbot, gate) -> None:
    gate.threads.clear()
    cell, types = 12, widget.cells.types
    widget._pointer.hovered.emit(cell)
    facts = widget.panel.cell.facts
    assert facts.cell_type == (f"{types.names[types.code[cell]]} (margin {types.margin[cell]:.3f})")
    assert facts.cell_type in facts.summary
    assert facts.reference == ""  # that is being looked up
    gate.open.set()
    qtbot.waitUntil(lambda: widget.panel.cell.facts.reference != "")
    assert gate.threads
    assert threading.main_thread() not in gate.threads
    vector = widget.cells.embedding(cell)[None]
    bank = widget.cells.model.bank
    votes = bank.votes(bank.neighbours(widget.cells.model.project(vector)))
    told = f"nearest reference cells: {votes.names[votes.code[0]]} {100 * votes.share[0]:.0f} %"
    assert widget.panel.cell.facts.reference == told


def a_looked_up_gene_comes_piece_by_piece_and_can_be_stopped(widget, qtbot, gate) -> None:
    panel, n = widget.panel, len(widget.cells)
    before = widget.shown
    panel.gene.set_gene("INS")
    qtbot.waitUntil(gate.reached.is_set)
    assert panel.status.text() == f"Looking up {n:,} cells in past-drawn …"
    assert panel.progress.format() == "%v of %m cells"
    assert panel.cancel.isVisible()
    # Nothing is shown under the new gene's name that is not its own.
    assert widget.shown is not before
    assert (widget.shown.name, len(widget.shown.values)) == ("INS", 0)
    assert len(widget.view.points.data) == 0
    widget._pointer.hovered.emit(5)
    assert panel.cell.facts.genes[0].value == NOT_YET
    qtbot.mouseClick(panel.cancel, Qt.MouseButton.LeftButton)
    assert f"0 of {n:,} cells were looked up" in panel.following.text()
    assert not widget._colouring.looking_up.busy
    gate.open.set()
    qtbot.wait(300)
    assert len(widget.shown.values) == 0

    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        panel.following.linkActivated.emit("#")
    assert panel.following.text() == ""
    assert len(widget.view.points.data) == n
    vectors = np.stack([widget.cells.embedding(i) for i in range(n)])
    model = widget.cells.model
    expected = model.expression(vectors, ["INS"], model.neighbours(vectors))[:, 0]
    npt.assert_allclose(widget.shown.values, expected, rtol=1e-4)
    # The limits are those of all cells, not of the first piece.
    npt.assert_allclose(widget.shown.limits, np.percentile(expected, (1, 99)), rtol=1e-3)


def types_alone_have_no_cell_looked_up(widget, qtbot, gate) -> None:
    widget.panel.gene.set_gene("INS")
    qtbot.waitUntil(gate.reached.is_set)
    widget.panel.types.by_type.click()
    gate.open.set()
    qtbot.waitUntil(lambda: not widget.busy)
    assert (widget.cells.found, len(gate.threads)) == (0, 1)
    widget.panel.types.by_gene.click()
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    assert widget.cells.found == len(widget.shown.values) == len(widget.cells)


def another_model_drops_the_look_up_and_the_types(viewer, widget, qtbot, gate) -> None:
    show_types(qtbot, widget)
    widget.panel.types.by_gene.click()
    widget.panel.gene.set_gene("INS")
    qtbot.waitUntil(gate.reached.is_set)
    widget.panel.types.by_type.click()
    load_model(qtbot, widget, "past-mini")
    gate.open.set()
    qtbot.wait(300)
    assert widget.cells.model.name == "past-mini"
    assert widget.cells.found == 0
    assert widget.panel.types.least_margin is None
    assert not labels_of(viewer).visible
    # That model does not have the gene.
    assert widget.shown is None
    assert not widget.view.points.visible
    widget.panel.gene.set_gene("ERBB2")
    assert not labels_of(viewer).visible
    points = widget.view.points
    assert isinstance(points, Points)
    assert points.visible
    assert len(points.data) == len(widget.cells)


def a_bank_that_goes_away_is_told_and_no_former_colours_stay(
    widget, qtbot, tmp_path, banked_folder
) -> None:
    bank = banked_folder / "bank.h5ad"
    widget.panel.gene.set_gene("GCG")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    assert len(widget.shown.values) == len(widget.cells)
    told = len(notification_manager.records)
    moved = bank.rename(tmp_path / "bank.h5ad")
    try:
        widget.panel.gene.set_gene("INS")
        qtbot.waitUntil(lambda: len(notification_manager.records) > told)
        qtbot.waitUntil(lambda: not widget.busy)
        assert "There is no file" in str(notification_manager.records[told].message)
        assert (widget.shown.name, len(widget.shown.values)) == ("INS", 0)
    finally:
        moved.rename(bank)


def exports_have_types(widget, qtbot, tmp_path) -> None:
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        widget.export_cells_to(tmp_path / "cells.geojson")
    back = read_cells(tmp_path / "cells.geojson")
    types = widget.cells.types
    by_id = {widget.cells.cell_id(i): types.names[types.code[i]] for i in range(len(types.code))}
    assert dict(back.obs["cell_type"].astype(str)) == by_id


def the_map_of_a_gene_follows_as_values_come(viewer, widget, qtbot) -> None:
    """From afar, with a gene whose values come in pieces, the map is that of all cells."""
    assert widget.cells.found == 0
    viewer.scene.camera.zoom = 0.2
    qtbot.wait(400)
    widget.panel.gene.set_gene("INS")
    qtbot.waitUntil(lambda: not widget.busy, timeout=LONG_MS)
    assert widget.view.from_afar
    grown = [level.counts.copy() for level in widget.view._map.levels]
    assert grown[0].sum() == len(widget.cells)
    widget.panel.gene.set_gene("ERBB2")
    for before, level in zip(grown, widget.view._map.levels, strict=True):
        npt.assert_array_equal(before, level.counts)

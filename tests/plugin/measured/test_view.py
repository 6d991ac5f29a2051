"""Measured tissue in a real viewer: opened, looked at beside the prediction, placed, closed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import anndata
import napari
import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
from napari.layers import Image, Points
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_past.model import model_path
from napari_past.plugin.measured.box import RowsWay
from napari_past.plugin.measured.dialog import UNITS
from napari_past.plugin.measured.drops import NoWidget
from napari_past.plugin.measured.picking import ON_ROWS, ON_SLIDE
from napari_past.plugin.measured.tissue import opened_on
from napari_past.plugin.measured.words import DIVIDER, OVERLAYS
from napari_past.plugin.viewport import view_rect
from napari_past.plugin.virtual_box import Way
from napari_past.space import um_from_world, world_from_um
from napari_past.spatial.landmarks import read_landmarks
from napari_past.spatial.measured import MeasuredAs
from napari_past.validation.row_cells import row_cells

pytestmark = pytest.mark.gui

LONG_MS = 60_000
GENES = ("KRT19", "VIM", "ERBB2", "PTPRC", "NOT1MODEL")
SHIFT_UM = np.array([5000.0, 7000.0])


@pytest.fixture(scope="session")
def rows_um(drawn) -> np.ndarray:
    return drawn.truth.centers_um[:60]


@pytest.fixture(scope="session")
def counts(rows_um) -> np.ndarray:
    return np.random.default_rng(4).poisson(3.0, (len(rows_um), len(GENES))).astype(np.float32) + 1


def write_table(path: Path, places: np.ndarray, counts: np.ndarray) -> Path:
    obs = pd.DataFrame({"cell_type": ["tumour", "stroma"] * (len(counts) // 2)})
    obs.index = [f"c{k}" for k in range(len(counts))]
    table = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(GENES)))
    table.obsm["spatial"] = places
    table.write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def in_place(tmp_path_factory, rows_um, counts) -> Path:
    """Cells where they are on the drawn slide."""
    return write_table(tmp_path_factory.mktemp("measured") / "lab.h5ad", rows_um, counts)


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory, rows_um, counts) -> Path:
    """The same cells in µm of an instrument that is nowhere near."""
    path = tmp_path_factory.mktemp("far") / "far.h5ad"
    return write_table(path, rows_um + SHIFT_UM, counts)


def settle(qtbot, widget) -> None:
    qtbot.waitUntil(lambda: not widget.tissue.busy, timeout=LONG_MS)
    QApplication.processEvents()


def drop(qtbot, viewer, widget, path: Path) -> None:
    """As if a table were dropped into the window, and the dialog answered."""
    viewer.open(str(path), plugin="napari-past")
    dialog = widget.tissue.opening.dialog
    qtbot.waitUntil(dialog.isVisible, timeout=LONG_MS)
    dialog.unit.setCurrentText(UNITS["um"])
    dialog.open_it.click()
    qtbot.waitUntil(lambda: widget.tissue.measured.here is not None, timeout=LONG_MS)
    settle(qtbot, widget)


def go(qtbot, widget, way: RowsWay) -> None:
    qtbot.mouseClick(widget.panel.tissue.buttons[way], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: widget.tissue.canvas.way is way, timeout=LONG_MS)
    settle(qtbot, widget)


@pytest.fixture(scope="session")
def encoded(in_place, analysed) -> None:
    """The store has the measured cells: no test waits for a worker."""
    here = opened_on(in_place, analysed.plan.slide, MeasuredAs(unit="um"))
    row_cells(here.tissue, analysed.model)
    here.slide.close()


def shown_layers(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible and isinstance(layer, Points)]


def test_measured_cells_beside_the_prediction(opened, qtbot, in_place, encoded, rows_um, counts):
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened(show=True)
    widget.panel.gene.set_gene("KRT19")
    drop(qtbot, viewer, widget, in_place)
    a_dropped_table_lies_on_its_cells(viewer, widget, rows_um, counts)
    side_by_side_has_one_scale(qtbot, viewer, widget)
    widget.panel.gene.set_gene("KRT19")
    swipe_shows_each_row_on_one_side_alone(qtbot, viewer, widget, rows_um)
    it_gives_way_to_the_virtual_stain_and_goes_with_its_slide(qtbot, viewer, widget)


def a_dropped_table_lies_on_its_cells(viewer, widget, rows_um, counts) -> None:
    measured = widget.tissue.measured
    assert shown_layers(viewer) == ["KRT19 measured · lab (other)"]
    layer = viewer.layers["KRT19 measured · lab (other)"]
    npt.assert_allclose(um_from_world(layer.data), rows_um)
    expected = np.log1p(counts[:, 0] / counts.sum(axis=1) * 1e4)
    npt.assert_allclose(layer.features.iloc[:, 0], expected, rtol=1e-5)
    # What validates sees the same rows.
    assert len(measured.tissue) == len(rows_um)
    assert measured.section.name == "lab"
    npt.assert_allclose(measured.tissue.measured(["KRT19"])[:, 0], expected, rtol=1e-5)
    box = widget.panel.tissue
    assert "60 of 60 cells on the H&E" in box.facts.text()
    assert "4 of them in past-mini" in box.facts.text()
    # All parts are in the panel: none opens a window of its own, and what means nothing is hidden.
    for part in (box.validate, box.predict, box.picking, box.undo, box.pick):
        assert part.window() is box.window()
    assert box.validate.isVisibleTo(box)
    assert not box.predict.isVisibleTo(box)
    assert not box.picking.isVisibleTo(box)
    # Back to the cells alone, as it was.
    box.buttons[RowsWay.CELLS].click()
    assert shown_layers(viewer) == ["KRT19 · past-mini"]


def side_by_side_has_one_scale(qtbot, viewer, widget) -> None:
    go(qtbot, widget, RowsWay.BESIDE)
    grid, layers = viewer.canvas.grid, viewer.layers
    assert grid.actual_shape(layers) == (1, 2)
    right = [layers[i].name for i in grid.contents_at((0, 1), layers)]
    left = [layers[i].name for i in grid.contents_at((0, 0), layers)]
    assert right == ["drawn (measured side)", "KRT19 measured · lab (other)"]
    assert "drawn" in left
    assert "KRT19 predicted · past-mini per measured cell" in left
    assert layers["drawn (measured side)"].data[0] is layers["drawn"].data[0]
    shown = widget.tissue.shown
    assert shown.predicted.limits == shown.measured.limits
    assert shown.predicted.unit == shown.measured.unit == "log1p(counts per 10k)"
    assert viewer.canvas.overlays[OVERLAYS["top_left"]].text.strip().endswith("per measured cell")
    assert viewer.canvas.overlays[OVERLAYS["top_right"]].text.strip().endswith("lab (other)")
    # Another gene, by the key and from the list, goes with both.
    widget.panel.tissue.genes.setCurrentIndex(widget.panel.tissue.genes.findData("VIM"))
    widget.panel.tissue.genes.activated.emit(0)
    settle(qtbot, widget)
    assert "VIM measured · lab (other)" in shown_layers(viewer)
    # A gene that was not measured hides the rows and is told.
    widget.panel.gene.set_gene("CD24")
    settle(qtbot, widget)
    assert shown_layers(viewer) == []
    assert "CD24 was not measured in lab" in widget.panel.tissue.words.text()
    go(qtbot, widget, RowsWay.CELLS)
    assert not grid.enabled
    assert next(layer.name for layer in layers if isinstance(layer, Image)) == "drawn"
    assert "drawn (measured side)" not in layers


def swipe_shows_each_row_on_one_side_alone(qtbot, viewer, widget, rows_um) -> None:
    go(qtbot, widget, RowsWay.SWIPE)
    canvas = widget.tissue.canvas

    def left_out(quantity: str) -> np.ndarray:
        return canvas.layer_of(quantity).face_color[:, 3] == 0

    def right_of_divider() -> np.ndarray:
        view = view_rect(viewer)
        return rows_um[:, 0] >= view.x_um + canvas.swipe.share * view.width_um

    for share in (0.5, 0.3):
        canvas.swipe.move(share)
        assert 0 < right_of_divider().sum() < len(rows_um)
        npt.assert_array_equal(left_out("predicted"), right_of_divider())
        npt.assert_array_equal(left_out("measured"), ~right_of_divider())
    assert viewer.layers[-1].name == DIVIDER
    go(qtbot, widget, RowsWay.RESIDUAL)
    assert DIVIDER not in viewer.layers
    residual = widget.tissue.shown
    measured, predicted = residual.raw
    z = [(v - v.mean()) / v.std() for v in (predicted, measured)]
    npt.assert_allclose(residual.residual.values, z[0] - z[1], atol=1e-4)
    assert "too high" in widget.panel.tissue.words.text()
    # The key goes from measured to predicted and back.
    (flip,) = [f for key, f in viewer.keymap.items() if str(key) == "M"]
    flip(viewer)
    settle(qtbot, widget)
    assert shown_layers(viewer) == ["KRT19 measured · lab (other)"]
    assert not left_out("measured").any()
    flip(viewer)
    settle(qtbot, widget)
    assert shown_layers(viewer) == ["KRT19 predicted · past-mini per measured cell"]
    the_pointer_tells_both(viewer, widget, rows_um)
    # Another model: what was predicted by the former one is gone, the way to look stays.
    former = widget.tissue.shown
    widget.load_model_file(str(model_path("past-mini")))
    qtbot.waitUntil(lambda: widget.tissue.shown not in (None, former), timeout=LONG_MS)
    qtbot.waitUntil(lambda: widget.tissue.canvas.way is RowsWay.PREDICTED, timeout=LONG_MS)
    settle(qtbot, widget)
    assert shown_layers(viewer) == ["KRT19 predicted · past-mini per measured cell"]
    npt.assert_allclose(widget.tissue.shown.raw[1], former.raw[1])


def the_pointer_tells_both(viewer, widget, rows_um) -> None:
    told: list[int] = []
    widget.tissue.pointer.hovered.connect(told.append)
    at = SimpleNamespace(position=world_from_um(rows_um[7] + 1.0))
    widget.tissue.pointer._on_move(viewer, at)
    assert told == [7]
    measured, predicted = widget.tissue.shown.raw
    assert widget.tissue.pointer._tell(7) == (
        f"cell c7 · KRT19 measured {measured[7]:.2f}, predicted {predicted[7]:.2f} (past-mini) "
        f"log1p(counts per 10k) · stroma"
    )
    widget.tissue.pointer._on_move(viewer, SimpleNamespace(position=(-500.0, -500.0)))
    assert told == [7, -1]


def it_gives_way_to_the_virtual_stain_and_goes_with_its_slide(qtbot, viewer, widget) -> None:
    widget.panel.tissue.buttons[RowsWay.CELLS].click()
    before = list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)
    go(qtbot, widget, RowsWay.BESIDE)
    widget._virtual.look(Way.VIRTUAL)
    assert widget.tissue.way is RowsWay.CELLS
    assert not viewer.canvas.grid.enabled
    go(qtbot, widget, RowsWay.SWIPE)
    assert widget._virtual.way is Way.H_AND_E
    assert len(viewer.mouse_move_callbacks) == len(before[1]) + 2
    viewer.layers.remove(viewer.layers["drawn"])
    qtbot.waitUntil(lambda: widget.session is None)
    settle(qtbot, widget)
    assert widget.tissue.measured.here is None
    assert not any("measured" in layer.name for layer in viewer.layers)
    assert DIVIDER not in viewer.layers
    assert (viewer.mouse_drag_callbacks, viewer.mouse_move_callbacks) == before
    assert not viewer.canvas.overlays[OVERLAYS["top_left"]].visible


def test_landmarks_place_what_lies_elsewhere(opened, qtbot, elsewhere, rows_um, tmp_path):
    viewer, widget = opened(show=True)
    widget.panel.gene.set_gene("KRT19")
    drop(qtbot, viewer, widget, elsewhere)
    tissue, box = widget.tissue, widget.panel.tissue
    assert tissue.measured.tissue is None
    assert "0 of 60 cells" in box.warnings.text()
    assert not box.buttons[RowsWay.SWIPE].isVisible()
    box.pick.click()
    (native,) = [w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop"]
    qtbot.waitUntil(lambda: viewer.canvas.grid.enabled)
    # One click in each half; the other pairs as if they were clicked.
    height_px, width_px = viewer.canvas.size
    for x in (0.25, 0.75):
        place = QPoint(round(x * width_px), round(0.5 * height_px))
        qtbot.mouseMove(native, place)
        qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=place)
    assert tissue.picking.landmarks.pairs == 1
    assert not box.picking.apply.isEnabled()
    box.picking.back.click()
    assert tissue.picking.landmarks.pairs == 0
    off = np.zeros(2)
    for k, cell in enumerate((0, 17, 33, 51)):
        off = np.array([2.0, 0.0]) if k == 3 else off
        tissue.picking.pick(True, rows_um[cell] + off)
        shown_at = tissue.picking._shown_at
        tissue.picking.pick(False, shown_at(rows_um[cell : cell + 1] + SHIFT_UM)[0])
    assert len(viewer.layers[ON_SLIDE].data) == len(viewer.layers[ON_ROWS].data) == 4
    residuals = tissue.picking.landmarks.residuals_um
    assert residuals.shape == (4,)
    assert 0.1 < residuals.max() <= 2.0
    assert f"{residuals.max():.1f} µm at worst" in box.picking.sentence.text()
    box.picking.save_to.emit(str(tmp_path / "pairs.csv"))
    saved = read_landmarks(tmp_path / "pairs.csv", onto="predicted")
    npt.assert_allclose(
        saved(rows_um + SHIFT_UM), tissue.picking.landmarks.affine(rows_um + SHIFT_UM), atol=0.05
    )
    box.picking.apply.click()
    qtbot.waitUntil(lambda: tissue.measured.tissue is not None, timeout=LONG_MS)
    settle(qtbot, widget)
    assert np.abs(tissue.measured.section.centers_um - rows_um).max() < 3.0
    assert "Placed on the H&E by the landmarks picked: 4 landmarks" in box.notes.text()
    assert ON_SLIDE not in viewer.layers
    assert shown_layers(viewer) == ["KRT19 measured · far (other)"]
    box.undo.click()
    settle(qtbot, widget)
    assert tissue.measured.tissue is None
    assert shown_layers(viewer) == ["KRT19 · past-mini"]


def test_without_a_slide_or_a_widget_one_sentence_says_so(docked, in_place):
    _, widget = docked()
    widget.tissue.open(in_place)
    assert "open the slide first" in str(notification_manager.records[-1].message)
    assert not widget.panel.tissue.isVisible()


def test_without_a_widget_napari_tells_what_to_do(in_place):
    viewer = napari.components.ViewerModel()
    with pytest.raises(NoWidget, match="dock Virtual staining"):
        viewer.open(str(in_place), plugin="napari-past")

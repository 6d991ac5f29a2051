"""The virtual stain in a real viewer: four ways to look, and every way out of it is marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
import tifffile
from napari.layers import Points
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_past.plugin.side_by_side import GAP_PX
from napari_past.plugin.viewport import canvas_mpp, fly_to, view_rect
from napari_past.plugin.virtual_box import Way
from napari_past.plugin.virtual_export import view_picture, window_of
from napari_past.plugin.virtual_layer import OVERLAY
from napari_past.stain.dab import stain_densities
from napari_past.stain.virtual import CONVENTION, virtual_stains
from napari_past.stain.virtual_mark import PREDICTED, burn_in
from napari_past.stain.virtual_picture import LEAST_WIDTH_PX
from napari_past.types import RESEARCH_USE, Cutoffs, Rect

pytestmark = pytest.mark.gui

LONG_MS = 60_000


@pytest.fixture
def looking(opened, qtbot):
    """A viewer and its widget, looked at in some way once all of that is drawn."""

    def look(way: Way, gene: str = "MKI67") -> tuple:
        viewer, widget = opened(show=True)
        widget.panel.gene.set_gene(gene)
        go(qtbot, widget, way)
        return viewer, widget

    return look


def go(qtbot, widget, way: Way) -> None:
    qtbot.mouseClick(widget.panel.virtual.buttons[way], Qt.MouseButton.LeftButton)
    settle(qtbot, widget)


def settle(qtbot, widget) -> None:
    qtbot.waitUntil(lambda: not widget._virtual.busy, timeout=LONG_MS)


def words(viewer):
    return viewer.canvas.overlays.get(OVERLAY, None)


def of_kind(viewer, kind):
    return next(layer for layer in viewer.layers if isinstance(layer, kind))


def in_view(widget) -> np.ndarray:
    """RGBA that napari has on the canvas."""
    return np.asarray(widget._virtual.layer.layer._data_view)


def test_it_comes_and_goes_and_leaves_napari_as_it_was(looking, qtbot):
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = looking(Way.H_AND_E)
    the_key_and_the_eye_switch_it_too(viewer, widget, qtbot)
    go(qtbot, widget, Way.H_AND_E)
    it_lies_over_the_slide_and_says_what_it_is(viewer, widget, qtbot)
    napari_is_left_as_it_was(viewer, widget, qtbot)


def test_other_ways_genes_and_cutoffs_are_drawn(looking, qtbot, monkeypatch):
    """One viewer for all of it."""
    viewer, widget = looking(Way.SWIPE)
    swipe_follows_the_mouse_and_the_view(viewer, widget, qtbot)
    go(qtbot, widget, Way.BESIDE)
    side_by_side_shares_one_camera_and_is_taken_back(viewer, widget, qtbot)
    widget.panel.gene.set_gene("KRT19")
    go(qtbot, widget, Way.VIRTUAL)
    other_cutoffs_and_genes_are_drawn(viewer, widget, qtbot, monkeypatch)


def test_every_way_out_is_marked_and_another_slide_takes_it_away(looking, qtbot, tmp_path: Path):
    """One viewer for all of it."""
    viewer, widget = looking(Way.VIRTUAL)
    pictures_of_the_canvas_carry_the_words(viewer)
    naparis_own_way_to_save_the_layer_is_marked(widget, qtbot, tmp_path)
    a_view_is_saved_with_its_words(viewer, widget, qtbot, tmp_path)
    a_view_that_cannot_be_saved_is_told_in_a_sentence(viewer, widget, tmp_path)
    the_overview_never_has_the_former_gene(widget, qtbot)
    another_slide_takes_it_away(viewer, widget, qtbot)


def it_lies_over_the_slide_and_says_what_it_is(viewer, widget, qtbot):
    fly_to(viewer, Rect(100, 80, 120, 90))
    qtbot.waitUntil(lambda: widget.view.outlines is not None)
    go(qtbot, widget, Way.VIRTUAL)
    layer = widget._virtual.layer.layer
    slide = viewer.layers[0]
    assert layer.name == "MKI67 · past-mini (virtual stain, predicted)"
    assert viewer.layers.index(layer) == 1
    npt.assert_array_equal(layer.extent.world[0], slide.extent.world[0])
    assert words(viewer).visible
    assert words(viewer).text.strip() == f"{PREDICTED}\nMKI67 · past-mini"
    shown = in_view(widget)
    assert (shown[..., 3] == 255).all()
    assert not of_kind(viewer, Points).visible
    assert not viewer.layers["Nuclei outlines"].visible
    box = widget.panel.virtual
    assert CONVENTION in box.words.text()
    assert "nuclei" in box.words.text()
    assert box.legend.isVisibleTo(widget)
    # Back as it was, and nothing on the canvas that says otherwise.
    box.buttons[Way.H_AND_E].click()
    assert not words(viewer).visible
    assert not layer.visible
    assert of_kind(viewer, Points).visible
    assert viewer.layers["Nuclei outlines"].visible
    assert not box.legend.isVisibleTo(widget)


def the_key_and_the_eye_switch_it_too(viewer, widget, qtbot):
    assert words(viewer) is None
    (toggle,) = [f for key, f in viewer.keymap.items() if str(key) == "Shift+H"]
    toggle(viewer)
    settle(qtbot, widget)
    layer = widget._virtual.layer.layer
    assert layer.visible
    assert words(viewer).visible
    assert widget.panel.virtual.buttons[Way.VIRTUAL].isChecked()
    layer.visible = False
    assert widget._virtual.way is Way.H_AND_E
    assert not words(viewer).visible
    assert of_kind(viewer, Points).visible
    layer.visible = True
    assert widget._virtual.way is Way.VIRTUAL
    viewer.layers.remove(layer)
    assert widget._virtual.way is Way.H_AND_E
    assert not words(viewer).visible
    toggle(viewer)
    settle(qtbot, widget)
    assert widget._virtual.layer.layer in viewer.layers


def other_cutoffs_and_genes_are_drawn(viewer, widget, qtbot, monkeypatch):
    monkeypatch.setattr(type(widget.cells), "unlike_training", property(lambda t: np.zeros(len(t))))
    box = widget.panel.cutoffs
    box.as_classes.setChecked(True)
    values = widget.shown.values
    quantiles = [float(q) for q in np.quantile(values, (0.1, 0.3, 0.5))]

    def brown_at(cutoffs: list[float]) -> float:
        box.set_cutoffs(box.preset, Cutoffs(*cutoffs, "test"), "")
        box.changed.emit()
        settle(qtbot, widget)
        return float(
            (stain_densities(in_view(widget)[..., :3].copy(), virtual_stains())[1] > 0.2).mean()
        )

    assert brown_at(quantiles) > 0.05
    assert "class" in widget.panel.virtual.words.text()
    assert brown_at([99.0, 100.0, 101.0]) < 0.001
    widget.panel.gene.set_gene("VIM")
    settle(qtbot, widget)
    assert words(viewer).text.endswith("VIM · past-mini")
    assert widget._virtual.layer.layer.name.startswith("VIM")


def swipe_follows_the_mouse_and_the_view(viewer, widget, qtbot):
    swipe = widget._virtual.swipe

    def seam_um() -> float:
        """World x where the virtual stain begins."""
        layer = widget._virtual.layer.layer
        first = (in_view(widget)[0, :, 3] > 0).argmax()
        return float(layer._transforms["tile2data"]((0, first))[1]) * float(layer.scale[1])

    def divider_um() -> float:
        view = view_rect(viewer)
        return view.x_um + swipe.share * view.width_um

    assert seam_um() == pytest.approx(divider_um(), abs=5 * canvas_mpp(viewer))
    viewer.scene.camera.center = (160, 200)
    viewer.scene.camera.zoom *= 1.4
    settle(qtbot, widget)
    assert seam_um() == pytest.approx(divider_um(), abs=5 * canvas_mpp(viewer))

    (native,) = [w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop"]
    center, width_px = viewer.scene.camera.center, viewer.canvas.size[1]
    left = Qt.MouseButton.LeftButton
    qtbot.mousePress(native, left, pos=QPoint(round(0.5 * width_px), 100))
    qtbot.mouseMove(native, QPoint(round(0.6 * width_px), 110))
    qtbot.wait(50)
    qtbot.mouseMove(native, QPoint(round(0.7 * width_px), 120))
    qtbot.wait(50)
    qtbot.mouseRelease(native, left, pos=QPoint(round(0.7 * width_px), 120))
    assert swipe.share == pytest.approx(0.7, abs=0.02)
    # The picture stays where it is while the divider moves.
    assert viewer.scene.camera.center == center
    settle(qtbot, widget)
    assert seam_um() == pytest.approx(divider_um(), abs=5 * canvas_mpp(viewer))
    swipe.move(7.0)
    assert swipe.share < 1
    go(qtbot, widget, Way.VIRTUAL)
    assert (in_view(widget)[..., 3] == 255).all()


def side_by_side_shares_one_camera_and_is_taken_back(viewer, widget, qtbot):
    grid, layer = viewer.canvas.grid, widget._virtual.layer.layer
    assert grid.enabled
    assert grid.actual_shape(viewer.layers) == (1, 2)
    right = [i for i in range(len(viewer.layers)) if grid.position(i, viewer.layers) == (0, 1)]
    assert [viewer.layers[i] for i in right] == [layer]
    assert of_kind(viewer, Points).visible
    # What is in view is one half of the canvas.
    view, (height_px, width_px) = view_rect(viewer), viewer.canvas.size
    camera = viewer.scene.camera
    half_um = (width_px - GAP_PX) / 2 / camera.zoom
    assert view.width_um == pytest.approx(half_um, abs=2 / camera.zoom)
    assert view.height_um == pytest.approx(height_px / camera.zoom)
    assert view.x_um + view.width_um / 2 == pytest.approx(camera.center[-1])
    # Layers that come later stay at the left.
    viewer.add_shapes(name="Regions")
    qtbot.waitUntil(lambda: viewer.layers[-1].name == layer.name)
    assert grid.position(len(viewer.layers) - 2, viewer.layers) == (0, 0)
    go(qtbot, widget, Way.H_AND_E)
    assert not grid.enabled
    assert grid.stride == 1
    assert viewer.layers.index(layer) == 1


def a_view_is_saved_with_its_words(viewer, widget, qtbot, tmp_path: Path):
    fly_to(viewer, Rect(80, 60, 200, 150))
    viewer.screenshot(flash=False)  # which has napari choose the level
    settle(qtbot, widget)
    virtual = widget._virtual
    drawing, cells = virtual.layer.drawing, virtual.layer.drawing.cells
    level = virtual.layer.layer.data_level
    window, mpp = window_of(drawing, level, view_rect(viewer)), drawing.mpp[level]
    clean = drawing.read(level, *window)
    for name in ("view.png", "view.tif"):
        with qtbot.waitSignal(widget._jobs.idle, timeout=LONG_MS):
            widget.panel.virtual.save_to.emit(str(tmp_path / name))
    with Image.open(tmp_path / "view.png") as png:
        saved, told = np.asarray(png), png.text
        assert png.info["dpi"][0] == pytest.approx(25_400 / mpp, rel=0.01)
    height, width = clean.shape[:2]
    assert saved.shape[1] == max(width, LEAST_WIDTH_PX)
    assert saved.shape[0] > height
    npt.assert_array_equal(saved[: height // 2, :width], clean[: height // 2])
    npt.assert_array_equal(
        saved[:height, :width], burn_in(clean, f"{PREDICTED} · MKI67 · past-mini")
    )
    assert (saved[:height, :width] != clean).any(axis=2).mean() > 0.03
    assert PREDICTED in told["Description"]
    assert RESEARCH_USE in told["Description"]
    assert float(told["um_per_px"]) == pytest.approx(mpp, rel=1e-4)
    npt.assert_array_equal(view_picture(drawing, level, window, cells), saved)
    with tifffile.TiffFile(tmp_path / "view.tif") as tiff:
        page = tiff.pages[0]
        npt.assert_array_equal(page.asarray(), saved)
        above, below = page.tags["XResolution"].value
        assert above / below == pytest.approx(10_000 / mpp, rel=1e-4)
        assert RESEARCH_USE in page.description


def a_view_that_cannot_be_saved_is_told_in_a_sentence(viewer, widget, tmp_path: Path):
    before = sorted(tmp_path.iterdir())
    widget._virtual.save(tmp_path / "view.docx")
    assert "ends in .png or .tif" in str(notification_manager.records[-1].message)
    viewer.scene.camera.center = (9000, 9000)
    widget._virtual.save(tmp_path / "outside.png")
    assert "not in view" in str(notification_manager.records[-1].message)
    assert sorted(tmp_path.iterdir()) == before


def naparis_own_way_to_save_the_layer_is_marked(widget, qtbot, tmp_path: Path):
    virtual = widget._virtual.layer
    qtbot.waitUntil(lambda: virtual._overview_fresh, timeout=LONG_MS)
    virtual.layer.save(str(tmp_path / "layer.png"))
    saved = np.asarray(Image.open(tmp_path / "layer.png"))
    height, width = virtual.drawing.shape(len(virtual.drawing) - 1)
    small = np.asarray(
        Image.fromarray(virtual.drawing.read(len(virtual.drawing) - 1, 0, height, 0, width)).reduce(
            2
        )
    )
    npt.assert_array_equal(saved[..., :3], burn_in(small))
    assert (saved[..., :3] != small).any()


def the_overview_never_has_the_former_gene(widget, qtbot):
    virtual = widget._virtual.layer
    qtbot.waitUntil(lambda: virtual._overview_fresh, timeout=LONG_MS)
    assert np.ptp(virtual._overview) > 0
    virtual._overview_fresh = False
    virtual._draw_overview()  # the former gene's is on its way
    assert virtual._latest.busy
    widget.panel.gene.set_gene("VIM")
    widget._virtual._update()
    virtual._overview_timer.stop()
    assert virtual.layer.name.startswith("VIM")
    qtbot.waitUntil(lambda: not virtual._latest.busy, timeout=LONG_MS)
    assert not virtual._overview_fresh
    assert np.ptp(virtual._overview) == 0


def pictures_of_the_canvas_carry_the_words(viewer):
    with_words = viewer.screenshot(flash=False)
    words(viewer).visible = False
    without = viewer.screenshot(flash=False)
    words(viewer).visible = True
    changed = (with_words != without).any(axis=2)
    rows, _ = np.nonzero(changed)
    assert 0.003 < changed.mean() < 0.2
    assert rows.max() < 0.2 * len(changed)


def another_slide_takes_it_away(viewer, widget, qtbot):
    slide = viewer.layers[0]
    viewer.layers.remove(slide)
    qtbot.waitUntil(lambda: widget.session is None)
    assert widget._virtual.layer.layer is None
    assert not any("virtual stain" in layer.name for layer in viewer.layers)
    assert not words(viewer).visible
    # Nor do its cells lie on the next slide.
    qtbot.waitUntil(lambda: len(viewer.layers) == 0)


def napari_is_left_as_it_was(viewer, widget, qtbot):
    before = list(viewer.mouse_drag_callbacks), list(viewer.mouse_move_callbacks)
    go(qtbot, widget, Way.SWIPE)
    assert len(viewer.mouse_drag_callbacks) == len(before[0]) + 1
    widget._virtual.close()
    assert (viewer.mouse_drag_callbacks, viewer.mouse_move_callbacks) == before
    assert not words(viewer).visible

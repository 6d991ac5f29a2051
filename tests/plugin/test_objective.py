"""Magnification in words, on keys and on the canvas of a real viewer."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QWidget

from napari_past.plugin.objective import (
    OBJECTIVE_KEYS,
    STEPS,
    Objectives,
    label,
    magnification_of,
    zoom_of,
)

QT_KEYS = dict(zip(OBJECTIVE_KEYS, (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4,
                                    Qt.Key.Key_5), strict=True))  # fmt: skip


@pytest.mark.parametrize(("magnification", "mpp"), [(2.5, 4.0), (20, 0.5), (40, 0.25)])
@pytest.mark.parametrize("pixel_ratio", [1.0, 2.0])
def test_forty_is_a_quarter_of_a_micrometre(
    magnification: float, mpp: float, pixel_ratio: float
) -> None:
    zoom = zoom_of(magnification, pixel_ratio)
    # µm to a pixel of the canvas, which is `pixel_ratio` pixels of the screen wide
    assert 1 / zoom == pytest.approx(mpp * pixel_ratio)
    assert magnification_of(zoom, pixel_ratio) == pytest.approx(magnification)


@pytest.mark.parametrize(
    ("zoom", "pixel_ratio", "text"),
    [
        (1.0, 1.0, "≈ 10x · 1.0 µm per screen pixel"),
        (1.0, 2.0, "≈ 20x · 0.50 µm per screen pixel"),
        (4.0, 1.0, "≈ 40x · 0.25 µm per screen pixel"),
        (0.25, 1.0, "≈ 2.5x · 4.0 µm per screen pixel"),
        (0.0123, 1.0, "≈ 0.12x · 81.3 µm per screen pixel"),
        (12.3, 1.0, "≈ 123x · 0.081 µm per screen pixel"),
    ],
)
def test_label(zoom: float, pixel_ratio: float, text: str) -> None:
    assert label(zoom, pixel_ratio) == text


@pytest.fixture
def docked_part(make_napari_viewer_proxy):
    """A viewer with an image in µm, something docked in it, and objectives with a pixel ratio."""

    def dock(pixel_ratio: float = 1.0) -> tuple:
        viewer = make_napari_viewer_proxy(show=True)
        viewer.window.resize(1000, 700)
        widget = QWidget()
        viewer.window.add_dock_widget(widget)
        image = np.full((400, 600, 3), 240, np.uint8)
        viewer.add_image(image, rgb=True, scale=(0.5, 0.5), units=("um", "um"))
        objectives = Objectives(viewer, lambda: pixel_ratio)
        viewer.scene.camera.events.zoom.connect(lambda _: objectives.follow_camera())
        objectives.switch(True)
        return viewer, widget.window(), objectives

    return dock


@pytest.mark.gui
@pytest.mark.parametrize("pixel_ratio", [1.0, 2.0])
def test_keys_turn_to_objectives_whatever_the_layer(docked_part, qtbot, pixel_ratio) -> None:
    viewer, window, _ = docked_part(pixel_ratio)
    in_um = {"units": ("um", "um")}
    viewer.add_labels(np.zeros((20, 20), np.uint8), **in_um)
    viewer.add_points(np.zeros((3, 2)), **in_um)
    viewer.scene.camera.center = (70.0, 90.0)
    for layer in viewer.layers:
        viewer.layers.selection = {layer}
        mode = layer.mode
        for key, magnification in OBJECTIVE_KEYS.items():
            qtbot.keyClick(window, QT_KEYS[key], Qt.KeyboardModifier.AltModifier)
            assert viewer.scene.camera.zoom == pytest.approx(magnification / 10 / pixel_ratio)
            npt.assert_allclose(viewer.scene.camera.center[-2:], (70, 90))
            text = viewer.canvas.overlays.text.text.strip()
            assert text == label(viewer.scene.camera.zoom, pixel_ratio)
            assert text.startswith(f"≈ {magnification:g}x")
        assert layer.mode == mode
    assert len(viewer.layers["Points"].data) == 3
    # napari's own keys still work
    qtbot.keyClick(window, Qt.Key.Key_V)
    assert not viewer.layers["Points"].visible


@pytest.mark.gui
def test_keys_and_text_of_the_magnification(docked_part, qtbot) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, window, objectives = docked_part()
    text_leaves_the_scale_bar_in_sight(viewer)
    keys_are_nobodys_in_napari(window)
    without_micrometres_there_is_no_magnification(viewer, window, objectives, qtbot)


def keys_are_nobodys_in_napari(window) -> None:
    ours = {key.replace("-", "+") for key in OBJECTIVE_KEYS}
    assert len(ours) == len(STEPS)
    taken = {str(binding) for bindings in default_shortcuts.values() for binding in bindings}
    taken |= {action.shortcut().toString() for action in window.findChildren(QAction)}
    assert "Ctrl+R" in taken  # the same spelling
    assert not ours & taken


def without_micrometres_there_is_no_magnification(viewer, window, objectives, qtbot) -> None:
    objectives.switch(False)
    viewer.scene.camera.zoom = 0.77
    qtbot.keyClick(window, Qt.Key.Key_5, Qt.KeyboardModifier.AltModifier)
    assert viewer.scene.camera.zoom == pytest.approx(0.77)
    assert not viewer.canvas.overlays.text.visible
    objectives.switch(True)
    assert viewer.canvas.overlays.text.visible
    assert viewer.canvas.overlays.text.text.strip() == label(viewer.scene.camera.zoom)
    objectives.close()
    assert not viewer.canvas.overlays.text.visible
    assert not [key for key in viewer.keymap if str(key).startswith("Alt+")]


def text_leaves_the_scale_bar_in_sight(viewer) -> None:
    overlays = viewer.canvas.overlays

    def drawn(bar: bool, text: bool) -> np.ndarray:
        overlays.scale_bar.visible, overlays.text.visible = bar, text
        return viewer.screenshot(flash=False)[..., :3].astype(int)

    nothing, bar, text, both = (drawn(b, t) for b, t in ((0, 0), (1, 0), (0, 1), (1, 1)))
    ink = [(picture != nothing).any(axis=2).sum() for picture in (bar, text, both)]
    assert min(ink) > 100
    # stacked: what one of them covers of the other would be missing
    assert ink[2] > 0.97 * (ink[0] + ink[1])

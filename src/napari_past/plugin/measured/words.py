"""What is written on the canvas while measured tissue is looked at, and the divider of a swipe."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import napari
import numpy as np
from napari.components.overlays import TextOverlay
from napari.layers import Image
from psygnal import EmitLoopError

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.curtain import GRIP_PX, Curtain
from napari_past.plugin.viewport import view_px
from napari_past.types import PixelGrid

OVERLAYS = {"top_left": "measured_tissue_left", "top_right": "measured_tissue_right"}
DIVIDER = "Divider"
_INK, _PAPER = (1.0, 1.0, 1.0, 1.0), (0.10, 0.13, 0.17, 0.88)
_HALF_WIDTH_PX = GRIP_PX[1] + 2

Corner = Literal["top_left", "top_right"]


class Words:
    """Says at each half what is seen there, so that every picture of the canvas says it, too."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._words: dict[Corner, TextOverlay] = {}

    def tell(self, left: str, right: str = "") -> None:
        """Words in the upper corners; empty ones are taken away."""
        self._tell("top_left", left)
        self._tell("top_right", right)

    def close(self) -> None:
        """Leave the canvas without them."""
        with suppress(EmitLoopError, RuntimeError):
            self.tell("")

    def _tell(self, corner: Corner, text: str) -> None:
        words = self._words.get(corner)
        if words is None:
            if not text:
                return
            words = self._words[corner] = TextOverlay(
                text=f" {text} ", position=corner, box=True, box_color=_PAPER, color=_INK,
                font_size=10,
            )  # fmt: skip
            self._viewer.canvas.overlays[OVERLAYS[corner]] = words
        if text and words.text != f" {text} ":
            words.text = f" {text} "
        if words.visible != bool(text):
            words.visible = bool(text)


class Divider:
    """The line of a swipe as a narrow layer, over pictures that have no pixels of their own."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.layer: Image | None = None

    def show(self, curtain: Curtain) -> None:
        """Put it where the curtain is."""
        height_px = view_px(self._viewer)[0]
        there = self.layer if self.layer in self._viewer.layers else None
        if there is None or there.data.shape[0] != height_px:
            picture = _drawn(height_px)
            if there is None:
                with keeping_active(self._viewer):
                    there = self.layer = self._viewer.add_image(
                        picture, rgb=True, name=DIVIDER, units=("um", "um"), scale=(1.0, 1.0)
                    )
            else:
                there.data = picture
        layers, mpp = self._viewer.layers, curtain.canvas_mpp
        if layers[-1] is not there:
            layers.move(layers.index(there), len(layers))
        y_um = curtain.grip_um - (height_px - 1) / 2 * mpp
        there.scale = (mpp, mpp)
        there.translate = (y_um, curtain.x_um - (_HALF_WIDTH_PX - 0.5) * mpp)

    def remove(self) -> None:
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)


def _drawn(height_px: int) -> np.ndarray:
    """RGBA (height, width, 4) of the line and its handle, clear beside them."""
    width_px = round(2 * _HALF_WIDTH_PX)
    rgba = np.zeros((height_px, width_px, 4), np.uint8)
    Curtain(_HALF_WIDTH_PX, height_px / 2, 1.0).draw(rgba, PixelGrid(0.0, 0.0, 1.0))
    return rgba

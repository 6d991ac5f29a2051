"""Magnification as a microscope names it: on keys, and told on the canvas.

40x is 0.25 µm to a pixel of the screen, as slide scanners have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import napari
from psygnal import EmitLoopError

from napari_past.plugin.ties import Ties

UM_PER_PX_AT_1X = 10.0
STEPS = (2.5, 5.0, 10.0, 20.0, 40.0)
OBJECTIVE_KEYS = {f"Alt-{number}": step for number, step in enumerate(STEPS, start=1)}
"""Digits alone are the modes of napari's layers; with Alt they are free."""


def zoom_of(magnification: float, pixel_ratio: float = 1.0) -> float:
    """napari's camera zoom, in pixels of the canvas for a µm.

    Parameters
    ----------
    magnification
        Of the objective: 40 for 0.25 µm to a pixel of the screen.
    pixel_ratio
        Pixels of the screen to one of the canvas, along a side: napari counts the canvas in Qt's
        pixels, which are two of the screen on many laptops.
    """
    return magnification / (UM_PER_PX_AT_1X * pixel_ratio)


def magnification_of(zoom: float, pixel_ratio: float = 1.0) -> float:
    """The equivalent objective of a camera zoom: `zoom_of` backwards."""
    return zoom * UM_PER_PX_AT_1X * pixel_ratio


def label(zoom: float, pixel_ratio: float = 1.0) -> str:
    """As "≈ 10x · 1.0 µm per screen pixel"."""
    magnification = magnification_of(zoom, pixel_ratio)
    mpp = UM_PER_PX_AT_1X / magnification
    named = f"{magnification:.0f}" if magnification >= 10 else f"{magnification:.2g}"
    # Two significant digits, the trailing zero of 1.0 and 0.50 among them.
    decimals = max(1, 1 - math.floor(math.log10(mpp)))
    return f"≈ {named}x · {mpp:.{decimals}f} µm per screen pixel"


class Objectives:
    """Objectives on keys, and the magnification in a corner of the canvas, while switched on.

    Parameters
    ----------
    viewer
        Its world is in µm while this is switched on.
    pixel_ratio
        Asked at every change, since a window may move to another screen: ``devicePixelRatioF`` of
        a widget in the window.
    """

    def __init__(self, viewer: napari.Viewer, pixel_ratio: Callable[[], float]) -> None:
        self._viewer = viewer
        self._pixel_ratio = pixel_ratio
        self._on = False
        self._ties = Ties()
        for key, magnification in OBJECTIVE_KEYS.items():
            viewer.bind_key(key, self._turning_to(magnification), overwrite=True)
            self._ties.add(partial(viewer.bind_key, key, None))

    def switch(self, on: bool) -> None:
        """Tell the magnification and obey the keys, or neither: without µm there is none."""
        overlay = self._viewer.canvas.overlays.text
        self._on = overlay.visible = on
        if on:
            # napari stacks what is in one corner, so it never lies over the scale bar.
            overlay.position = "bottom_right"
            # Glass is as white as napari's text.
            overlay.box = True
            self.follow_camera()

    def follow_camera(self) -> None:
        """The camera zoomed."""
        if self._on:
            zoom = float(self._viewer.scene.camera.zoom)
            # napari's ground ends a little short of the first letter.
            self._viewer.canvas.overlays.text.text = " " + label(zoom, self._pixel_ratio())

    def turn_to(self, magnification: float) -> None:
        """Look through another objective at the same place."""
        self._viewer.scene.camera.zoom = zoom_of(magnification, self._pixel_ratio())

    def close(self) -> None:
        """Leave the canvas and the keys as they were."""
        self._ties.cut()
        # At the end of a program the canvas may be gone before this is.
        with suppress(EmitLoopError, RuntimeError):
            self.switch(False)

    def _turning_to(self, magnification: float) -> Callable[[napari.Viewer], None]:
        # A function, which has a name, and no `partial`: napari looks at the names of all bound
        # functions at every key that is pressed.
        def turn(viewer: napari.Viewer) -> None:
            if self._on:
                self.turn_to(magnification)

        return turn

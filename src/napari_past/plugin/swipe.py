"""A divider on the canvas that the mouse moves: one picture to its left, another to its right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import napari

from napari_past.plugin.curtain import Curtain
from napari_past.plugin.viewport import canvas_mpp, view_rect

GRAB_PX = 9.0
"""So near to the divider, in pixels of the canvas, the mouse takes hold of it."""
LEAST, MOST = 0.02, 0.98


class Swipe:
    """Keeps a curtain at a share of the canvas's width while it is on.

    Parameters
    ----------
    on_moved
        Told the curtain at every move of the divider or of the view.
    """

    def __init__(self, viewer: napari.Viewer, on_moved: Callable[[Curtain], None]) -> None:
        self._viewer, self._on_moved = viewer, on_moved
        self._share = 0.5
        self._on = False
        self._hovered = False

    @property
    def share(self) -> float:
        """Where the divider is, 0 at the left end of the canvas and 1 at its right."""
        return self._share

    def move(self, share: float) -> None:
        """Put the divider elsewhere; it never leaves the canvas."""
        self._share = min(max(share, LEAST), MOST)
        self._tell()

    def begin(self) -> None:
        """Show the divider and let the mouse move it."""
        if self._on:
            return
        self._on = True
        viewer = self._viewer
        for emitter in self._emitters():
            emitter.connect(self._tell)
        # First: what is drawn with the active layer's tool is drawn beside the divider.
        viewer.mouse_drag_callbacks.insert(0, self._drag)
        viewer.mouse_move_callbacks.append(self._hover)
        self._tell()

    def end(self) -> None:
        """Give the mouse back."""
        if not self._on:
            return
        self._on = False
        viewer = self._viewer
        for emitter in self._emitters():
            emitter.disconnect(self._tell)
        viewer.mouse_drag_callbacks.remove(self._drag)
        viewer.mouse_move_callbacks.remove(self._hover)
        self._show_hand(False)

    def _emitters(self) -> tuple[Any, ...]:
        camera = self._viewer.scene.camera.events
        return camera.center, camera.zoom, self._viewer.canvas.events.size

    def _tell(self, event: object = None) -> None:
        view = view_rect(self._viewer)
        x_um = view.x_um + self._share * view.width_um
        middle_um = view.y_um + view.height_um / 2
        self._on_moved(Curtain(x_um, middle_um, canvas_mpp(self._viewer)))

    def _near(self, event: Any) -> bool:
        width_px = self._viewer.canvas.size[1]
        return abs(float(event.pos[0]) - self._share * width_px) <= GRAB_PX

    def _drag(self, viewer: napari.Viewer, event: Any) -> Iterator[None]:
        if event.button != 1 or not self._near(event):
            return
        # The camera must not pan, nor a tool draw.
        event.handled = True
        yield
        while event.type == "mouse_move":
            self.move(float(event.pos[0]) / self._viewer.canvas.size[1])
            event.handled = True
            yield

    def _hover(self, viewer: napari.Viewer, event: Any) -> None:
        self._show_hand(self._near(event))

    def _show_hand(self, on: bool) -> None:
        if on != self._hovered:
            self._hovered = on
            self._viewer.cursor.style = "pointing" if on else "standard"

"""H&E and virtual stain beside each other, in napari's grid with one camera for both."""

from __future__ import annotations

from typing import Any

import napari
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_past.plugin.timers import settling_timer

GAP_PX = 4


class SideBySide(QObject):
    """While it is on, one layer has the right half of the canvas, all others the left one."""

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._right: Image | None = None
        self._below: Image | None = None
        self._before: tuple[bool, int, tuple[int, int], float] = (False, 1, (-1, -1), 0.0)
        # What adds or moves layers does so in several steps.
        self._timer = settling_timer(self, 0, self._arrange)

    @property
    def on(self) -> bool:
        return self._right is not None

    def begin(self, right: Image, below: Image) -> None:
        """Show a layer at the right; `below` is the one that it lies over otherwise."""
        if self.on:
            return
        grid = self._viewer.canvas.grid
        self._before = (grid.enabled, grid.stride, tuple(grid.shape), grid.spacing)
        self._right, self._below = right, below
        self._arrange()
        grid.shape, grid.spacing, grid.enabled = (1, 2), GAP_PX, True
        for emitter in self._emitters():
            emitter.connect(self._on_layers)

    def end(self) -> None:
        """One canvas again, with the layers in their order."""
        if not self.on:
            return
        for emitter in self._emitters():
            emitter.disconnect(self._on_layers)
        self._timer.stop()
        right, self._right = self._right, None
        layers, grid = self._viewer.layers, self._viewer.canvas.grid
        grid.enabled, grid.stride, grid.shape, grid.spacing = self._before
        if right in layers and self._below in layers:
            layers.move(layers.index(right), layers.index(self._below) + 1)

    def _emitters(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered

    def _on_layers(self, event: object = None) -> None:
        self._timer.start()

    def _arrange(self) -> None:
        layers = self._viewer.layers
        if self._right is None or self._right not in layers or len(layers) < 2:
            return
        if layers[-1] is not self._right:
            layers.move(layers.index(self._right), len(layers))
        self._viewer.canvas.grid.stride = len(layers) - 1

"""Two pictures beside each other, in napari's grid with one camera for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import napari
from napari.layers import Layer
from qtpy.QtCore import QObject

from napari_past.plugin.timers import settling_timer

GAP_PX = 4

Group = Callable[[], Sequence[Layer]]
"""Gives the layers of the right half, the lowest first; they may become others."""


class SideBySide(QObject):
    """While it is on, some layers have the right half of the canvas, all others the left one.

    napari's grid fills cells with equally many layers, so that there are never more at the right
    than at the left.
    """

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._right: Group | None = None
        self._below: Layer | None = None
        self._before: tuple[bool, int, tuple[int, int], float] = (False, 1, (-1, -1), 0.0)
        # What adds or moves layers does so in several steps.
        self._timer = settling_timer(self, 0, self.arrange)

    @property
    def on(self) -> bool:
        return self._right is not None

    def begin(self, right: Group, below: Layer) -> None:
        """Show some layers at the right; `below` is the one that they lie over otherwise."""
        if self.on:
            return
        grid = self._viewer.canvas.grid
        self._before = (grid.enabled, grid.stride, tuple(grid.shape), grid.spacing)
        self._right, self._below = right, below
        self.arrange()
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
        right, self._right = self._there(), None
        layers, grid = self._viewer.layers, self._viewer.canvas.grid
        grid.enabled, grid.stride, grid.shape, grid.spacing = self._before
        if self._below in layers:
            for layer in reversed(right):
                layers.move(layers.index(layer), layers.index(self._below) + 1)

    def arrange(self) -> None:
        """Bring the right half's layers to the end of the list, where the grid has them."""
        layers, right = self._viewer.layers, self._there()
        if not right or len(right) == len(layers):
            return
        # One by one: a slice of napari's list is another list with all its connections.
        if [layers[k - len(right)] for k in range(len(right))] != right:
            for layer in right:
                layers.move(layers.index(layer), len(layers))
        self._viewer.canvas.grid.stride = len(layers) - len(right)

    def _there(self) -> list[Layer]:
        if self._right is None:
            return []
        return [layer for layer in self._right() if layer in self._viewer.layers]

    def _emitters(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered

    def _on_layers(self, event: object = None) -> None:
        self._timer.start()

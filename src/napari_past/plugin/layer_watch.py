"""Whether a layer is still what was taken from it."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Layer

_EVENTS = ("data", "paint", "labels_update", "scale", "translate", "affine", "units")
"""Not ``set_data``: napari tells it whenever a layer is drawn anew."""


class LayerWatch:
    """Notes the first edit of a layer.

    Parameters
    ----------
    on_edit
        Told of it once.
    """

    def __init__(self, layer: Layer, on_edit: Callable[[], None]) -> None:
        self.layer = layer
        self.edited = False
        self._on_edit = on_edit
        for name in _EVENTS:
            if name in layer.events.emitters:
                layer.events[name].connect(self._on_event)

    def end(self) -> None:
        """Watch no more."""
        for name in _EVENTS:
            if name in self.layer.events.emitters:
                self.layer.events[name].disconnect(self._on_event)

    def _on_event(self, event: object = None) -> None:
        if not self.edited:
            self.edited = True
            self._on_edit()

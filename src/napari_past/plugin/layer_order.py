"""Where what covers the slide stands in the list of layers."""

from __future__ import annotations

import napari
from napari.layers import Image, Layer

from napari_past.plugin.reader import slide_ref


def above_slide(viewer: napari.Viewer, layer: Layer) -> None:
    """Put a layer that was added last onto the slide in view, below all that shows its cells."""
    viewer.layers.move(viewer.layers.index(layer), _above_slide(viewer))


def below_cells(viewer: napari.Viewer, layer: Layer) -> None:
    """Put a layer above the pictures on the slide in view, below its cells, which stay legible."""
    layers = viewer.layers
    rest = range(_above_slide(viewer), len(layers))
    first = next((k for k in rest if not isinstance(layers[k], Image)), None)
    if first is not None and first < layers.index(layer):
        layers.move(layers.index(layer), first)


def _above_slide(viewer: napari.Viewer) -> int:
    """The place on the slide in view: other slides are hidden, and may lie above or below it."""
    slides = [
        k
        for k, layer in enumerate(viewer.layers)
        if layer.visible and slide_ref(layer.metadata) is not None
    ]
    return slides[-1] + 1 if slides else 1

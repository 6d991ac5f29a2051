"""Where a picture that covers the slide stands in the list of layers."""

from __future__ import annotations

import napari
from napari.layers import Image


def below_cells(viewer: napari.Viewer, layer: Image) -> None:
    """Put a layer above the slides and below the cells, which stay legible."""
    layers = viewer.layers
    first = next((k for k, other in enumerate(layers) if not isinstance(other, Image)), None)
    if first is not None and first < layers.index(layer):
        layers.move(layers.index(layer), first)

"""A slide that is shown in pixels is given its physical size, and everything drawn on it too."""

from __future__ import annotations

from collections.abc import Iterable

import napari
import numpy as np
from napari.layers import Image, Layer

from napari_past.plugin.reader import METADATA_KEY, slide_ref
from napari_past.types import Rect

UM = "um"


def in_pixels(layer: Layer) -> bool:
    """Whether the layer's world units are pixels rather than a length."""
    return all(str(unit) == "pixel" for unit in layer.units)


def set_pixel_size(viewer: napari.Viewer, layers: Iterable[Layer], mpp: float) -> None:
    """Turn layers from level-0 pixels into µm, all together, and keep the view where it is.

    Layers that have a physical unit already are left as they are: one layer without units would
    disable units for all. Call it for every layer of the viewer.
    """
    moved = False
    for layer in list(layers):
        if not in_pixels(layer):
            continue
        factor = np.ones(layer.ndim)
        factor[-2:] = mpp
        layer.scale = np.asarray(layer.scale) * factor
        layer.translate = np.asarray(layer.translate) * factor
        layer.units = (UM,) * layer.ndim
        moved = True
        ref = slide_ref(layer.metadata)
        if ref is not None:
            told = {**layer.metadata[METADATA_KEY], "mpp": mpp}
            layer.metadata = {**layer.metadata, METADATA_KEY: told}
    if moved:
        camera = viewer.scene.camera
        center, zoom = np.asarray(camera.center) * mpp, camera.zoom / mpp
        camera.center, camera.zoom = tuple(center), zoom


def bounds_of(slide: Image) -> Rect | None:
    """A slide layer in µm; None without its pixel size."""
    if in_pixels(slide):
        return None
    height_px, width_px = slide.data[0].shape[:2]
    mpp = float(slide.scale[-1])
    return Rect(0.0, 0.0, width_px * mpp, height_px * mpp)

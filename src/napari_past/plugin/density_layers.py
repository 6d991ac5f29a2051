"""Density and hot spots as layers of the viewer."""

from __future__ import annotations

import napari
import numpy as np
import shapely
from napari.layers import Image, Layer, Shapes
from napari.utils.colormaps import Colormap

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.densities import Densities
from napari_past.plugin.layer_order import below_cells
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.region_shapes import EDGE_UM, FOUND
from napari_past.space import image_placement, world_from_um
from napari_past.stain import DensityMap, HotSpot

DENSITY_COLOURS = (
    (255, 237, 160, 0),
    (254, 178, 76, 120),
    (253, 141, 60, 170),
    (240, 59, 32, 200),
    (189, 0, 38, 220),
)
"""Red, green, blue, opacity: ColorBrewer's YlOrRd, clear where there are no cells, and unlike the
colours of expression, of the classes and of the stains."""


class DensityLayers:
    """Shows what was found; what is no longer asked for is removed."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._layers: list[Layer] = []

    def show(self, found: Densities) -> None:
        """Show these in place of what was shown."""
        self.clear()
        name = f"{found.request.gene} · {found.request.model}"
        with keeping_active(self._viewer):
            if found.map is not None:
                of = found.request.of
                self._layers.append(self._add_map(found.map, f"Density of {of} · {name}"))
            if found.spots:
                self._layers.append(self._add_spots(found.spots, f"Hot spots · {name}"))

    def clear(self) -> None:
        """Take the layers away."""
        for layer in self._layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._layers = []

    def _add_map(self, found: DensityMap, name: str) -> Image:
        scale, translate = image_placement(found.grid.mpp)
        layer = self._viewer.add_image(
            found.per_mm2,
            name=name,
            scale=scale,
            translate=(translate[0] + found.grid.y0_um, translate[1] + found.grid.x0_um),
            units=("um", "um"),
            colormap=Colormap(np.array(DENSITY_COLOURS) / 255, name="density of cells"),
            contrast_limits=(0.0, max(float(found.per_mm2.max()), 1e-6)),
            interpolation2d="linear",
        )
        below_cells(self._viewer, layer)
        return layer

    def _add_spots(self, spots: tuple[HotSpot, ...], name: str) -> Shapes:
        rings = [shapely.get_coordinates(spot.region.polygon_um)[:-1] for spot in spots]
        layer = self._viewer.add_shapes(
            [world_from_um(ring) for ring in rings],
            shape_type="polygon",
            name=name,
            scale=(1.0, 1.0),
            units=("um", "um"),
            edge_color="black",
            edge_width=EDGE_UM,
            face_color="transparent",
            metadata={FOUND: True, **OWN},
        )
        layer.editable = False
        return layer

"""A channel of a heat map as an image layer, clear where no cell is."""

from __future__ import annotations

import napari
import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap

from napari_past.io.heat_map import HeatChannel, HeatKind, HeatMap
from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.heat.scale import scale_of
from napari_past.plugin.heat.words import channel_name
from napari_past.plugin.layer_order import below_cells
from napari_past.plugin.own_layers import OWN
from napari_past.space import image_placement

OPACITY = 0.65
_SEQUENTIAL = (
    (68, 1, 84, 150),
    (59, 82, 139, 180),
    (33, 145, 140, 210),
    (94, 201, 98, 235),
    (253, 231, 37, 255),
)
"""Viridis, which is told apart in all kinds of colour blindness; a veil where little is, so that
one sees where cells were counted, and nuclei show through the bright end."""
_DIVERGING = (
    (33, 102, 172, 255),
    (67, 147, 195, 245),
    (146, 197, 222, 230),
    (247, 247, 247, 200),
    (253, 184, 99, 230),
    (224, 130, 20, 245),
    (179, 88, 6, 255),
)
"""Blue to orange (ColorBrewer's RdBu and PuOr), told apart as well; a veil around 0. Their darkest
ends are left out, in which nuclei would drown."""


def colours_of(kind: HeatKind) -> Colormap:
    """Sequential for attention; for contributions, diverging around 0, the middle of the limits."""
    name, table = {
        HeatKind.ATTENTION: ("attention", _SEQUENTIAL),
        HeatKind.CONTRIBUTION: ("contribution", _DIVERGING),
    }[kind]
    return Colormap(np.array(table) / 255, name=name)


def add_layer(viewer: napari.Viewer, found: HeatMap, channel: HeatChannel) -> Image:
    """Lay a channel over the slide, below the cells."""
    scale, translate = image_placement(found.grid.mpp)
    with keeping_active(viewer):
        layer = viewer.add_image(
            channel.values,
            name=layer_name(found, channel),
            scale=scale,
            translate=translate,
            units=("um", "um"),
            colormap=colours_of(channel.kind),
            contrast_limits=_limits(channel),
            interpolation2d="nearest",
            opacity=OPACITY,
            metadata=dict(OWN),
        )
        below_cells(viewer, layer)
    return layer


def show_channel(layer: Image, found: HeatMap, channel: HeatChannel) -> None:
    """Show another channel in a layer."""
    limits = _limits(channel)
    layer.data = channel.values
    layer.colormap = colours_of(channel.kind)
    # Else the former range clips the limits.
    layer.contrast_limits_range = limits
    layer.contrast_limits = limits
    layer.name = layer_name(found, channel)


def layer_name(found: HeatMap, channel: HeatChannel) -> str:
    """What the layer list says of a channel."""
    return f"{channel_name(channel)} · {found.about.network}"


def _limits(channel: HeatChannel) -> tuple[float, float]:
    scale = scale_of(channel)
    return scale.low, scale.high

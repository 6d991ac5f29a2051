"""Cells as a napari points layer, never more than napari draws with ease."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Points

from napari_past.engine import CellTable
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.reader import LayerData
from napari_past.plugin.staining import Staining
from napari_past.space import world_from_um

MOST_POINTS = 20_000
"""In view; where there are more, the map is shown. napari draws 30,000 with ease, no more."""
MOST_OUT_OF_VIEW = 2_000
"""Up to so many are drawn wherever they lie; of more cells only those in view are."""
SIZE_UM, NEAR_SIZE_UM = 6.0, 3.5
"""Near, a dot lies inside of its nucleus, whose outline is drawn."""
NEAR_MPP, COARSEST_POINTS_MPP = 0.4, 2.0
"""µm per pixel of the canvas: up to the first dots are small; beyond the other they would be specks
of three pixels, of which napari draws little but the rim, so the map is shown."""
_PER_CELL = ("features", "face_color", "symbol", "size")


def point_layer(
    table: CellTable, shown: Staining, index: npt.NDArray[np.intp], size_um: float = SIZE_UM
) -> LayerData:
    """The chosen cells as a points layer in µm, coloured by an RGBA table of our own.

    Features are read by napari's status bar when the pointer is on a cell.
    """
    distance = table.unlike_training[index]
    unlike = np.where(distance > 1, "yes", np.where(np.isnan(distance), "not known", "no"))
    unlike = unlike.astype(object)
    features = {f"{shown.first.name} ({shown.unit})": shown.values[index]}
    if shown.second is not None:
        features[f"{shown.second.name} ({shown.unit})"] = shown.second.values[index]
    arguments: dict[str, Any] = {
        "name": layer_name(table, shown),
        "features": pd.DataFrame(
            {**features, "class": shown.class_names(index), "unlike_training": unlike}
        ),
        "face_color": shown.colours(index),
        "symbol": shown.symbols(index),
        "size": size_um * shown.sizes(index),
        "border_width": 0,
        "opacity": 0.9,
        "scale": (1.0, 1.0),
        "units": ("um", "um"),
        "canvas_size_limits": (2, 60),
        "metadata": {"model": table.model.name, **OWN},
    }
    return world_from_um(table.centers_um[index]), arguments, "points"


def layer_name(table: CellTable, shown: Staining) -> str:
    """As "ERBB2 · past-mini"."""
    return f"{shown.name} · {table.model.name}"


def add_points(viewer: napari.Viewer, layer_data: LayerData) -> Points:
    """A new points layer, over the slide and outlines but under the regions."""
    data, arguments, _ = layer_data
    if len(data) == 0:
        # napari makes features and colours of an empty layer fail to grow later.
        arguments = {k: v for k, v in arguments.items() if k not in _PER_CELL}
        layer = viewer.add_points(np.zeros((0, 2)), **arguments)
    else:
        layer = viewer.add_points(data, **arguments)
    layer.editable = False
    return layer


def update_points(layer: Points, layer_data: LayerData) -> None:
    """Show other cells or another gene in a layer; the same cells are only recoloured."""
    data, arguments, _ = layer_data
    # Every setter has the canvas make all its markers anew: once at the end is enough.
    with layer.events.blocker_all():
        if data.shape != layer.data.shape or not np.array_equal(data, layer.data):
            layer.selected_data = set()
            layer.data = data
            # A hidden layer is not sliced by itself, and its colours would be drawn for the points
            # that it had before.
            layer.set_view_slice()
            layer.border_width = 0
        if len(data):
            layer.features = arguments["features"]
            layer.face_color = arguments["face_color"]
            layer.size = arguments["size"]
            layer.symbol = arguments["symbol"]
    layer.refresh()
    layer.name = arguments["name"]
    layer.editable = False

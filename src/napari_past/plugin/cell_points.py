"""Cells as a napari points layer, never more than napari draws with ease."""

from __future__ import annotations

from typing import Any

import napari
import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Points

from napari_past.engine import Cells
from napari_past.plugin.reader import LayerData
from napari_past.plugin.staining import Staining
from napari_past.space import world_from_um
from napari_past.types import Rect

MOST_POINTS = 30_000
SIZE_UM = 6.0
_SEED = 7


def drawn_cells(cells: Cells, view: Rect | None) -> npt.NDArray[np.intp]:
    """Which cells are drawn: all, or at most `MOST_POINTS` of those in view, always the same ones.

    Parameters
    ----------
    view
        What the canvas shows, in µm; None takes the whole slide.
    """
    n = len(cells)
    if n <= MOST_POINTS:
        return np.arange(n)
    rank = np.random.default_rng(_SEED).permutation(n)
    inside = np.arange(n) if view is None else np.flatnonzero(view.contains(cells.centers_um))
    if len(inside) > MOST_POINTS:
        inside = inside[np.argpartition(rank[inside], MOST_POINTS)[:MOST_POINTS]]
    return np.sort(inside)


def point_layer(cells: Cells, shown: Staining, index: npt.NDArray[np.intp]) -> LayerData:
    """The chosen cells as a points layer in µm, coloured by an RGBA table of our own.

    Features are read by napari's status bar when the pointer is on a cell.
    """
    values = shown.values[index]
    gene, unit = " + ".join(shown.resolved.symbols), shown.unit
    ids = cells.ids
    unlike = cells.unlike_training[index] > 1
    features = pd.DataFrame(
        {
            "predicted": [f"{gene} {value:.2f} {unit}" for value in values.tolist()],
            "class": shown.class_names(index).astype(object),
            "unlike_training": np.where(unlike, "yes", "no").astype(object),
            "value": values,
            "id": [ids[i] for i in index.tolist()],
        }
    )
    arguments: dict[str, Any] = {
        "name": layer_name(cells, shown),
        "features": features,
        "face_color": shown.colours(index),
        "symbol": shown.symbols(index),
        "size": SIZE_UM * shown.sizes(index),
        "border_width": 0,
        "opacity": 0.9,
        "scale": (1.0, 1.0),
        "units": ("um", "um"),
        "canvas_size_limits": (2, 60),
        "metadata": {"model": cells.model.name, "slide": cells.plan.slide_name},
    }
    return world_from_um(cells.centers_um[index]), arguments, "points"


def layer_name(cells: Cells, shown: Staining) -> str:
    """As "ERBB2 · past-mini"."""
    return f"{' + '.join(shown.resolved.symbols)} · {cells.model.name}"


def add_points(viewer: napari.Viewer, layer_data: LayerData) -> Points:
    """A new points layer, over the slide and outlines but under the regions."""
    data, arguments, _ = layer_data
    if len(data) == 0:
        # napari makes features and colours of an empty layer fail to grow later.
        per_cell = ("features", "face_color", "symbol", "size")
        arguments = {k: v for k, v in arguments.items() if k not in per_cell}
        layer = viewer.add_points(np.zeros((0, 2)), **arguments)
    else:
        layer = viewer.add_points(data, **arguments)
    layer.editable = False
    return layer


def update_points(layer: Points, layer_data: LayerData) -> None:
    """Show other cells or another gene in a layer; the same cells are only recoloured."""
    data, arguments, _ = layer_data
    if data.shape != layer.data.shape or not np.array_equal(data, layer.data):
        layer.selected_data = set()
        layer.data = data
    layer.features = arguments["features"]
    layer.face_color = arguments["face_color"]
    if len(data):
        layer.size = arguments["size"]
        layer.border_width = 0
        layer.symbol = arguments["symbol"]
    layer.name = arguments["name"]
    layer.editable = False

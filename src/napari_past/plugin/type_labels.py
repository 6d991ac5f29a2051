"""Cell types as one labels layer, drawn for the field: nuclei from near, bins from afar."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.utils.colormaps import DirectLabelColormap

from napari_past.plugin.cell_types import (
    LABELS,
    LAYER_NAME,
    Labels,
    ShownTypes,
    colours_by_label,
)
from napari_past.plugin.outline_labels import placement
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.reader import LayerData
from napari_past.types import PixelGrid

OPACITY = 0.8
FINEST_BIN_UM = 8.0
"""About the space that one nucleus takes up in dense tissue."""
BIN_PX = 4
"""Of the drawing, at least: smaller ones are a noise of colours."""


def bin_um_of(mpp: float) -> float:
    """Side of the bins at a resolution, µm: a power of two times the finest."""
    return float(FINEST_BIN_UM * 2 ** max(0, math.ceil(math.log2(BIN_PX * mpp / FINEST_BIN_UM))))


def binned_labels(
    labels: Labels,
    centers_um: npt.NDArray[np.float64],
    grid: PixelGrid,
    shape: tuple[int, int],
) -> Labels:
    """(Y, X): in each bin the label that most of its cells have; of equal ones the lower.

    Parameters
    ----------
    labels, centers_um
        (m,) and (m, 2) of the cells in the field; cells of label 0 do not count.
    grid, shape
        Of the drawing. Bins lie on one grid of the slide, so that they do not move with the field.
    """
    bin_um = bin_um_of(grid.mpp)
    height, width = shape
    y = np.floor((grid.y0_um + (np.arange(height) + 0.5) * grid.mpp) / bin_um).astype(np.int64)
    x = np.floor((grid.x0_um + (np.arange(width) + 0.5) * grid.mpp) / bin_um).astype(np.int64)
    rows, columns = y[-1] - y[0] + 1, x[-1] - x[0] + 1
    column, row = np.floor(centers_um / bin_um).astype(np.int64).T - np.array([[x[0]], [y[0]]])
    inside = (labels > 0) & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    place = (row[inside] * columns + column[inside]) * LABELS + labels[inside]
    votes = np.bincount(place, minlength=rows * columns * LABELS).reshape(-1, LABELS)
    most = votes.argmax(axis=1).astype(np.uint8).reshape(rows, columns)
    return most[np.ix_(y - y[0], x - x[0])]


def type_layer(
    labels: Labels, grid: PixelGrid, shown: ShownTypes, name: str = LAYER_NAME
) -> LayerData:
    """A drawing as a labels layer in µm; napari's status bar tells the type under the pointer."""
    arguments = {
        "name": name,
        "opacity": OPACITY,
        "colormap": type_colours(),
        "features": type_features(shown),
        "metadata": dict(OWN),
        **placement(grid),
    }
    return labels, arguments, "labels"


def type_features(shown: ShownTypes) -> pd.DataFrame:
    """What each label stands for, as napari's labels layers have it."""
    labels = list(range(1, LABELS))
    return pd.DataFrame({"index": labels, "type": [shown.name(label) for label in labels]})


def type_colours() -> DirectLabelColormap:
    """Of the labels; clear where there is no cell."""
    clear = (0.0, 0.0, 0.0, 0.0)
    table: dict[int | None, tuple[float, ...]] = {None: clear, 0: clear}
    for label, rgb in colours_by_label().items():
        table[label] = (*(c / 255 for c in rgb), 1.0)
    return DirectLabelColormap(color_dict=table)

"""Cells of others: files, folders and arrays, as cells in slide space."""

from napari_past.brought.bring import bring_cells, is_folder_of_cells
from napari_past.brought.choice import SeveralCells
from napari_past.brought.labels import cells_of_labels
from napari_past.brought.layers import cells_of_points, cells_of_polygons

__all__ = [
    "SeveralCells",
    "bring_cells",
    "cells_of_labels",
    "cells_of_points",
    "cells_of_polygons",
    "is_folder_of_cells",
]

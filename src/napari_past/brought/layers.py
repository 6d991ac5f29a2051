"""Cells of points and polygons, as layers of a viewer hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.brought.gathering import Gathered
from napari_past.cells.brought import BroughtCells
from napari_past.types import FloatArray


def cells_of_points(
    centers_um: FloatArray,
    ids: Sequence[str] | None = None,
    columns: Mapping[str, npt.NDArray] | None = None,
    source: str = "",
    kind: str = "points layer",
    notes: Sequence[str] = (),
) -> BroughtCells:
    """One cell for each point, without outline.

    Parameters
    ----------
    centers_um
        (n, 2), (x, y) in µm of slide space; what is not finite is left out and told.
    ids
        n names; by default they come from the cells' places.
    columns
        What goes along, each (n,).
    source, kind, notes
        What `BroughtCells` tells.

    Raises
    ------
    BadTable
        No points.
    """
    xy = np.asarray(centers_um, np.float64).reshape(-1, 2)
    points = np.full(len(xy), None, dtype=object)
    finite = np.isfinite(xy).all(axis=1)
    points[finite] = shapely.points(xy[finite])
    return cells_of_polygons(points.tolist(), ids, columns, source, kind, notes=notes)


def cells_of_polygons(
    polygons_um: Sequence[shapely.Geometry | None],
    ids: Sequence[str] | None = None,
    columns: Mapping[str, npt.NDArray] | None = None,
    source: str = "",
    kind: str = "shapes layer",
    cell_polygons_um: Sequence[shapely.Geometry | None] | None = None,
    notes: Sequence[str] = (),
) -> BroughtCells:
    """One cell for each polygon, its centre the centroid; a point is a cell without outline.

    Outlines that cross themselves are mended, of several parts the largest counts, holes are
    dropped; what is empty then is left out. All of it is told.

    Parameters
    ----------
    polygons_um
        n geometries, vertices (x, y) in µm of slide space. Of cells with two outlines, those of
        the nuclei.
    ids
        n names; by default they come from the cells' places.
    columns
        What goes along, each (n,).
    cell_polygons_um
        The outlines of the whole cells; None for those that have one outline alone.
    source, kind, notes
        What `BroughtCells` tells.

    Raises
    ------
    BadTable
        No polygons.
    """
    gathered = Gathered()
    gathered.add(polygons_um, cell_polygons_um)
    return gathered.cells(ids=ids, columns=columns or {}, source=source, kind=kind, notes=notes)

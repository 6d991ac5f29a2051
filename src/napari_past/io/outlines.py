"""Outlines of cells in a table: an array (n, K, 2) padded with NaN, or ragged polygons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from anndata import AnnData

from napari_past.types import FoundCells, Outlines

OUTLINE, CELL_OUTLINE = "outline_um", "cell_outline_um"
"""Of ``obsm``: of the nucleus, or the only one known; and of the whole cell where both are."""

MOST_VERTICES = 256
"""A longer outline is thinned evenly: one drawn by hand must not widen the row of every cell."""


def padded(polygons: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float32]:
    """(n, K, 2) float32, (x, y) in µm, NaN after each polygon's last vertex; K is at least 1.

    Parameters
    ----------
    polygons
        Each (k, 2), (x, y) in µm, the first vertex not repeated; (0, 2) for a cell without outline.
        One of more than `MOST_VERTICES` vertices is thinned to that many.
    """
    thin = [thinned(p) for p in polygons]
    width = max((len(p) for p in thin), default=0)
    array = np.full((len(thin), max(width, 1), 2), np.nan, np.float32)
    for row, polygon in zip(array, thin, strict=True):
        row[: len(polygon)] = polygon
    return array


def thinned(polygon: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """At most `MOST_VERTICES` vertices (k, 2) of a polygon, evenly chosen."""
    if len(polygon) <= MOST_VERTICES:
        return polygon
    return polygon[np.arange(MOST_VERTICES) * len(polygon) // MOST_VERTICES]


def outline_array(adata: AnnData) -> npt.NDArray[np.float32]:
    """``obsm["outline_um"]``, or (n, 1, 2) of NaN where the table has no outlines."""
    if "outline_um" in adata.obsm:
        return np.asarray(adata.obsm["outline_um"], dtype=np.float32)
    return np.full((adata.n_obs, 1, 2), np.nan, np.float32)


def polygon(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
    """The vertices (k, 2) of one cell's row (K, 2), or None where they are fewer than three."""
    vertices = row[np.isfinite(row).all(axis=1)]
    return vertices if len(vertices) >= 3 else None


def found_cells(adata: AnnData) -> FoundCells:
    """The cells of a table as a detector would have found them, in the table's order.

    A cell without outline has none here either. An area is ``obs["area_um2"]`` where it is told,
    else that of the outline, else NaN.
    """
    outlines = outline_array(adata)
    present = np.isfinite(outlines).all(axis=2)
    present &= (present.sum(axis=1) >= 3)[:, None]
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
    ragged = Outlines(outlines[present], offsets)
    areas = np.full(adata.n_obs, np.nan, np.float32)
    if "area_um2" in adata.obs:
        areas[:] = np.asarray(adata.obs["area_um2"], dtype=np.float32)
    for i in np.flatnonzero(np.isnan(areas) & (np.diff(offsets) > 0)).tolist():
        areas[i] = shapely.Polygon(ragged[i]).area
    centers_um = np.asarray(adata.obsm["spatial"], dtype=np.float64)[:, :2]
    return FoundCells(centers_um, ragged, areas, tuple(str(name) for name in adata.obs_names))

"""Centres of the nuclei that Xenium outlined."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.spatial.folder import reading
from napari_past.spatial.section import Points

_COLUMNS = ["cell_id", "vertex_x", "vertex_y"]


def with_nucleus_centers(path: Path, row_of: Mapping[str, int], centers_um: Points) -> Points:
    """`centers_um` (r, 2) with the centroid of its nucleus for each cell that has one.

    A cell is what lies around a nucleus, so its own centroid may lie beside it. Of several nuclei
    the largest counts.

    Parameters
    ----------
    path
        ``nucleus_boundaries.parquet``: a line for each vertex, polygon after polygon.
    row_of
        Row of each cell's id.
    """
    with reading(path, "outlines of nuclei"):
        table = pd.read_parquet(path)
        cells = as_ids(table["cell_id"])
        key = table["label_id"].to_numpy() if "label_id" in table else cells
        xy = table[_COLUMNS[1:]].to_numpy(np.float64)
    if len(cells) == 0:
        return centers_um
    begins = np.ones(len(cells), bool)
    begins[1:] = (cells[1:] != cells[:-1]) | (key[1:] != key[:-1])
    start = np.flatnonzero(begins)
    centroid, area = _centroids(xy, start)
    rows = np.array([row_of.get(cell, -1) for cell in cells[start]], np.int64)
    usable = np.flatnonzero((rows >= 0) & (area > 0))
    # The largest of a cell is written last.
    order = usable[np.argsort(area[usable], kind="stable")]
    placed = centers_um.copy()
    placed[rows[order]] = centroid[order]
    return placed


def as_ids(column: pd.Series) -> npt.NDArray[np.object_]:
    """Ids as text: early instruments wrote bytes or numbers."""
    values = column.to_numpy(object)
    return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values], dtype=object)


def _centroids(xy: Points, start: npt.NDArray[np.intp]) -> tuple[Points, npt.NDArray[np.float64]]:
    """Area centroids (n, 2) and areas (n,) of polygons that begin at `start`; closed or not."""
    lengths = np.diff(np.append(start, len(xy)))
    following = np.arange(1, len(xy) + 1)
    following[start + lengths - 1] = start
    # Relative to the first vertex, so that large coordinates do not cancel.
    local = xy - np.repeat(xy[start], lengths, axis=0)
    after = xy[following] - np.repeat(xy[start], lengths, axis=0)
    cross = local[:, 0] * after[:, 1] - local[:, 1] * after[:, 0]
    twice_area = np.add.reduceat(cross, start)
    moments = np.add.reduceat((local + after) * cross[:, None], start, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centroid = xy[start] + moments / (3 * twice_area[:, None])
    return centroid, np.abs(twice_area) / 2

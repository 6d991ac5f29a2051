"""Nuclei and the cells around them, where they came as objects of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.cells.brought import BroughtCells
from napari_past.types import Outlines

KIND = "InstanSeg"


def with_cells_around(found: BroughtCells, is_nucleus: npt.NDArray[np.bool_]) -> BroughtCells:
    """The nuclei, each with the outline of the cell that holds its centre, and what is left.

    Parameters
    ----------
    found
        Nuclei and cells in one.
    is_nucleus
        (n,) which of them are nuclei. Cells in which no nucleus lies stay as they are.
    """
    nuclei, cells = np.flatnonzero(is_nucleus), np.flatnonzero(~is_nucleus)
    outlines = found.found.outlines
    polygons = np.array([_polygon(outlines[i]) for i in cells.tolist()], dtype=object)
    centers = shapely.points(found.found.centers_um[nuclei])
    nucleus, cell = shapely.STRtree(polygons).query(centers, predicate="within")
    around = np.full(len(nuclei), -1, np.int64)
    around[nucleus[::-1]] = cell[::-1]
    alone = np.setdiff1d(np.arange(len(cells)), around)
    kept = np.concatenate([nuclei, cells[alone]])
    own = np.concatenate([np.where(around >= 0, cells[around], -1), np.full(len(alone), -1)])
    return replace(
        found.take(kept), kind=KIND, cell_outlines=chosen_outlines(outlines, own.astype(np.int64))
    )


def chosen_outlines(outlines: Outlines, index: npt.NDArray[np.int64]) -> Outlines:
    """The outlines at `index` (n,), an empty one for −1."""
    n = len(outlines)
    empty = Outlines(np.zeros((0, 2), np.float32), np.zeros(2, np.int64))
    return Outlines.concatenate([outlines, empty]).take(np.where(index < 0, n, index))


def _polygon(ring: npt.NDArray[np.float32]) -> shapely.Polygon | None:
    return shapely.Polygon(ring) if len(ring) >= 3 else None

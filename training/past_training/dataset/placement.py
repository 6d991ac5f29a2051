"""Where the patches of a section lie, and which rows each owns: geometry alone.

Pixels are those of the global grid at the dataset's µm/px: pixel (c, r) covers
[c·mpp, (c + 1)·mpp) x [r·mpp, (r + 1)·mpp) µm, as `Slide.read_grid` and the engine have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from past_training.dataset.schema import PrepareConfig

TILE_PX = 512
"""Crops are stored tile by tile: neighbours share reads here, and shards when training."""

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """The patches of a section, in the order in which they are stored."""

    corner_px: IntArray
    """(p, 2), (column, row) of each patch's first pixel on the global grid."""
    row_order: IntArray
    """(r,) rows of the source in the order in which they are stored."""
    row_start: IntArray
    """(p + 1,) patch p owns the stored rows ``row_start[p]:row_start[p + 1]``."""

    def __len__(self) -> int:
        return len(self.corner_px)


def placed(places_um: FloatArray, config: PrepareConfig) -> Placement:
    """Patches for rows at `places_um` (r, 2), (x, y) in slide space; the same for the same input.

    In ``crops`` a patch is as central on its row as whole pixels allow, as a crop encoder's are. In
    ``regions`` a row belongs to the patch in whose core it lies, and there are as many patches as
    have rows.
    """
    places_px = places_um / config.mpp
    if config.mode == "crops":
        order = _sorted(np.floor(places_px / TILE_PX), places_px)
        corner_px = np.floor(places_px[order] - config.patch_px / 2 + 0.5).astype(np.int64)
        return Placement(corner_px, order, np.arange(len(order) + 1, dtype=np.int64))
    core = np.floor(places_px / config.core_px)
    order = _sorted(core, places_px)
    ordered = core[order].astype(np.int64)
    first = np.ones(len(ordered), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    row_start = np.append(np.flatnonzero(first), len(ordered)).astype(np.int64)
    return Placement(ordered[first] * config.core_px - config.halo_px, order, row_start)


def _sorted(tiles: FloatArray, places_px: FloatArray) -> IntArray:
    """Tile by tile, row by row, and within a tile from top to bottom."""
    keys = (places_px[:, 0], places_px[:, 1], tiles[:, 0], tiles[:, 1])
    return np.lexsort(keys).astype(np.int64)


def blocks(
    low: npt.NDArray[np.generic], high: npt.NDArray[np.generic], most: float, spread: float
) -> Iterator[slice]:
    """Runs of boxes that are better worked on together than one by one.

    Parameters
    ----------
    low, high
        (n, 2) corners of the boxes, in the order in which they are wanted.
    most
        Area of a run's bounding box, unless it is a single box.
    spread
        By so much may that area exceed the sum of the boxes': what lies between scattered boxes is
        not worth its work.
    """
    start = 0
    while start < len(low):
        corner, end, area = low[start], high[start], 0.0
        stop = start
        while stop < len(low):
            corner, end = np.minimum(corner, low[stop]), np.maximum(end, high[stop])
            area += float(np.prod(high[stop] - low[stop]))
            whole = float(np.prod(end - corner))
            if stop > start and whole > min(most, spread * area):
                break
            stop += 1
        yield slice(start, stop)
        start = stop

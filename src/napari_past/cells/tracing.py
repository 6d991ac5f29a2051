"""Outlines of objects that are given as pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from skimage.measure import find_contours

from napari_past.types import Outlines

SMOOTHED_PX = 0.5
"""Most by which an outline may leave the staircase of its pixels."""


@dataclass(frozen=True)
class Traced:
    """One object."""

    center_yx_px: tuple[float, float]
    """Mean of its pixels, whose centres are integers."""
    area_px: int
    outline_yx_px: npt.NDArray[np.float64]
    """(k, 2), closed: the longest border of its pixels."""


def traced(mask: npt.NDArray[np.bool_], y0_px: int, x0_px: int) -> Traced:
    """The object whose pixels are set in `mask`, the corner of which lies at (y0_px, x0_px)."""
    y, x = np.nonzero(mask)
    # faster than np.pad, which counts with many small objects
    framed = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.float32)
    framed[1:-1, 1:-1] = mask
    borders = find_contours(framed, 0.5)
    outline = max(borders, key=len) + np.array([y0_px - 1, x0_px - 1])
    return Traced((float(y.mean()) + y0_px, float(x.mean()) + x0_px), len(y), outline)


def smoothed(
    objects: Sequence[Traced],
    mpp_xy: tuple[float, float],
    corner_um: tuple[float, float],
) -> Outlines:
    """The outlines in µm, (x, y), without the steps of their pixels.

    Parameters
    ----------
    mpp_xy
        µm of a pixel along x and y.
    corner_um
        Outer corner (x, y) of pixel (0, 0).
    """
    if not objects:
        return Outlines.empty()
    lengths = [len(o.outline_yx_px) for o in objects]
    points = np.concatenate([o.outline_yx_px for o in objects])
    rings = shapely.linearrings(points, indices=np.repeat(np.arange(len(objects)), lengths))
    polygons = shapely.polygons(rings)
    simple = shapely.simplify(polygons, SMOOTHED_PX, preserve_topology=False)
    # Ten times faster, but the smallest and the most crooked may vanish or cross themselves.
    spoilt = (shapely.get_type_id(simple) != 3) | shapely.is_empty(simple)
    spoilt |= ~shapely.is_valid(simple)
    simple[spoilt] = shapely.simplify(polygons[spoilt], SMOOTHED_PX, preserve_topology=True)
    yx, owner = shapely.get_coordinates(simple, return_index=True)
    counts = np.bincount(owner, minlength=len(objects))
    # Closed rings repeat their first vertex; ours do not.
    keep = np.ones(len(yx), bool)
    keep[np.cumsum(counts) - 1] = False
    xy_um = (yx[keep, ::-1] + 0.5) * np.array(mpp_xy) + np.array(corner_um)
    offsets = np.concatenate([[0], np.cumsum(counts - 1)]).astype(np.int64)
    return Outlines(xy_um.astype(np.float32), offsets)

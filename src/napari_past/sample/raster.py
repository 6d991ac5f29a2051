"""Outlines in µm as pixels: which lie inside, and how deep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import shapely

from napari_past.sample.texture import Field

DEEP_PX = 1e3
"""Stands for "no border anywhere"."""


def inside_mask(
    shape_um: shapely.Geometry, shape: tuple[int, int], step_um: float
) -> npt.NDArray[np.bool_]:
    """Which pixel centres lie inside a polygon (even-odd rule), (Y, X).

    Parameters
    ----------
    shape_um
        Polygon or several, (x, y) in µm from the outer corner of pixel (0, 0).
    shape
        Of the answer, (Y, X).
    step_um
        Width of a pixel, µm.
    """
    height, width = shape
    flips = np.zeros((height, width + 1), np.int32)
    for ring in shapely.get_rings(shapely.get_parts(shape_um)):
        # In units of pixels with centres at integers; each row is crossed by some edges.
        x, y = shapely.get_coordinates(ring).T / step_um - 0.5
        x0, x1, y0, y1 = x[:-1], x[1:], y[:-1], y[1:]
        first = np.ceil(np.minimum(y0, y1)).clip(0, height).astype(np.int64)
        last = np.ceil(np.maximum(y0, y1)).clip(0, height).astype(np.int64)
        edge = np.repeat(np.arange(len(x0)), last - first)
        before = np.cumsum(last - first) - (last - first)
        row = np.arange(len(edge)) - before[edge] + first[edge]
        t = (row - y0[edge]) / (y1[edge] - y0[edge])
        column = np.ceil(x0[edge] + t * (x1[edge] - x0[edge])).clip(0, width).astype(np.int64)
        np.add.at(flips, (row, column), 1)
    return np.cumsum(flips[:, :-1], axis=1) % 2 == 1


def signed_distance_px(mask: npt.NDArray[np.bool_]) -> Field:
    """Pixels from each pixel's centre to the border of the mask, positive inside, (Y, X)."""
    if mask.all() or not mask.any():
        return np.full(mask.shape, DEEP_PX if mask.all() else -DEEP_PX, np.float32)
    inside = ndi.distance_transform_edt(mask)
    outside = ndi.distance_transform_edt(~mask)
    return (inside - outside + np.where(mask, -0.5, 0.5)).astype(np.float32)

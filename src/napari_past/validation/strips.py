"""Strips of a section, held out in turn, and what lies beyond a buffer around them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def strips(row_um: FloatArray, blocks: int) -> IntArray:
    """Which of `blocks` strips across the longer principal axis each row lies in, int64 (r,).

    Strips are numbered along the axis, from left to right (from the top where it is upright), and
    differ by one row at most.

    Parameters
    ----------
    row_um
        (r, 2), (x, y) in µm.
    """
    x_um, y_um = (row_um - row_um.mean(axis=0)).T
    # In closed form, within ±90°: an eigenvector's sign would depend on the library.
    angle = 0.5 * math.atan2(2 * float(x_um @ y_um), float(x_um @ x_um - y_um @ y_um))
    along_um = x_um * math.cos(angle) + y_um * math.sin(angle)
    block = np.empty(len(row_um), np.int64)
    for k, members in enumerate(np.array_split(np.argsort(along_um, kind="stable"), blocks)):
        block[members] = k
    return block


def beyond(
    row_um: FloatArray, held: npt.NDArray[np.bool_], buffer_um: float
) -> npt.NDArray[np.bool_]:
    """Rows that are not held and no nearer than the buffer to any that is."""
    limit_um = np.nextafter(buffer_um, np.inf)
    away_um, _ = cKDTree(row_um[held]).query(row_um, distance_upper_bound=limit_um)
    return np.asarray(~held & (away_um >= buffer_um))

"""The one place that converts between slide space and the frames of others.

slide space     (x, y) µm, origin at the outer corner of level-0 pixel (0, 0)
level-0 pixels  (x, y) px with the same corner origin, as QuPath GeoJSON has it
napari world    (y, x) µm; layers are placed so that world equals slide space
napari image    (row, column) of level 0, pixel centres at integers
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def level0_px_from_um(xy_um: FloatArray, mpp: float) -> npt.NDArray[np.float64]:
    """Slide space → level-0 pixels with corner origin (QuPath), (…, 2) as (x, y)."""
    return np.asarray(xy_um, dtype=np.float64) / mpp


def um_from_level0_px(xy_px: FloatArray, mpp: float) -> npt.NDArray[np.float64]:
    """Level-0 pixels with corner origin (QuPath) → slide space, (…, 2) as (x, y)."""
    return np.asarray(xy_px, dtype=np.float64) * mpp


def world_from_um(xy_um: FloatArray) -> npt.NDArray[np.float64]:
    """Slide space (x, y) → napari world (y, x), both µm."""
    return np.asarray(xy_um, dtype=np.float64)[..., ::-1].copy()


def um_from_world(yx_um: FloatArray) -> npt.NDArray[np.float64]:
    """napari world (y, x) → slide space (x, y), both µm."""
    return np.asarray(yx_um, dtype=np.float64)[..., ::-1].copy()


def image_placement(mpp: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """``scale`` and ``translate`` of a napari layer whose pixels are level-0 pixels of `mpp` µm.

    napari puts pixel (0, 0)'s *centre* at ``translate``; in slide space it is at half a pixel.
    """
    return (mpp, mpp), (mpp / 2, mpp / 2)

"""Least, greatest and mean of a pixel's three channels.

One channel after the other: numpy takes ten times as long to reduce an axis of three.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


def extremes(pixels: npt.NDArray[np.float32]) -> tuple[Plane, Plane]:
    """Least and greatest value (h, w) of each of (h, w, 3)."""
    red, green, blue = (pixels[..., channel] for channel in range(3))
    least = np.minimum(np.minimum(red, green), blue)
    return least, np.maximum(np.maximum(red, green), blue)


def mean(pixels: npt.NDArray[np.float32]) -> Plane:
    """Of each of (h, w, 3), float32 (h, w)."""
    return (pixels[..., 0] + pixels[..., 1] + pixels[..., 2]) / np.float32(3)

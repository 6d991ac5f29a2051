"""Air under the coverslip: a crisp grey or clear line closed around a place without detail.

Light is bent at the edge of a bubble, so its rim is dark without being stained, or clear; tissue
under it is out of focus.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label, regionprops

from napari_past.quality.blur import SHARPEST_BLUR
from napari_past.quality.features import Features

DARK_RIM_OD, CLEAR_RIM_OD = 0.35, 0.05
WIDEST_RIM_UM = 40.0
SMALLEST_UM2, LARGEST_UM2 = 5_000.0, 4_000_000.0
LEAST_SOLIDITY = 0.85


def bubbles(features: Features, tissue: npt.NDArray[np.bool_], mpp: float) -> npt.NDArray[np.bool_]:
    """(h, w) bool, the inside and the rim of bubbles."""
    found = np.zeros_like(tissue)
    for rim in (features.rim_od >= DARK_RIM_OD, tissue & (features.palest_od <= CLEAR_RIM_OD)):
        found |= _enclosed(features, tissue, _thin(rim, mpp), mpp)
    return found


def _thin(rim: npt.NDArray[np.bool_], mpp: float) -> npt.NDArray[np.bool_]:
    """Lines alone: what is wide is ink, glass or pigment."""
    wide_px = max(3, round(WIDEST_RIM_UM / mpp) | 1)
    wide = ndimage.binary_opening(rim, np.ones((wide_px, wide_px)))
    return np.asarray(rim & ~wide)


def _enclosed(
    features: Features,
    tissue: npt.NDArray[np.bool_],
    rim: npt.NDArray[np.bool_],
    mpp: float,
) -> npt.NDArray[np.bool_]:
    """Places without detail that a line closes in, with the line."""
    line = ndimage.binary_closing(rim)
    found = np.zeros_like(rim)
    height, width = rim.shape
    for hole in regionprops(label(~line, connectivity=1)):
        top, left, bottom, right = hole.bbox
        if (
            not SMALLEST_UM2 <= hole.area * mpp**2 <= LARGEST_UM2
            or min(top, left) == 0
            or bottom == height
            or right == width
            or hole.solidity < LEAST_SOLIDITY
        ):
            continue
        window = (slice(top - 1, bottom + 1), slice(left - 1, right + 1))
        inside = np.pad(hole.image, 1)
        core = np.zeros_like(rim)
        core[window] = ndimage.binary_erosion(inside)
        if (core & tissue).sum() < core.sum() / 2:
            continue
        if features.fine[core].sum() < SHARPEST_BLUR * features.middle[core].sum():
            found[window] |= ndimage.binary_dilation(inside, iterations=1) & (line[window] | inside)
    return found

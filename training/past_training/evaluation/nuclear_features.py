"""Shape and colour of nuclei: what can be told without any model of expression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from skimage.draw import polygon2mask
from skimage.measure import regionprops_table

from napari_past.cells import StainLogDetector, find_cells, hematoxylin_od
from napari_past.slide import slide_of_array
from napari_past.types import PixelGrid, Rgb, StainProfile

MATCH_UM = 5.0
"""An annotated centre takes the nearest outline within this distance."""
DISC_UM = 4.0
"""Radius of what stands for a nucleus without an outline."""
SHAPE = (
    "area", "eccentricity", "solidity", "extent", "perimeter", "axis_major_length",
    "axis_minor_length",
)  # fmt: skip
COLOUR = ("intensity_mean", "intensity_std")
CHANNELS = 4
"""Red, green, blue, haematoxylin."""
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for f in (np.cos, np.sin)], 1)
FEATURES = len(SHAPE) + CHANNELS * len(COLOUR)


def nuclear_features(
    rgb: Rgb, centers_um: npt.NDArray[np.float64], mpp: float
) -> npt.NDArray[np.float32]:
    """Shape and colour within the outline nearest to each centre, float32 (n, 15).

    Outlines are the default detector's. Area, eccentricity, solidity, extent, perimeter and axes in
    px; mean and deviation of red, green, blue and of the haematoxylin amount. Of a nucleus that the
    detector did not find within 5 µm, the colour of a disc 8 µm across.

    Parameters
    ----------
    rgb
        A picture, uint8 (Y, X, 3).
    centers_um
        (n, 2), (x, y) in µm from the picture's outer corner.

    Returns
    -------
    NaN for the shape of a nucleus without an outline, and for all of one outside of the picture.
    """
    slide = slide_of_array(rgb, mpp)
    detector = StainLogDetector().fitted(slide)
    profile = detector.stains
    assert profile is not None
    found = find_cells(slide, detector=detector)
    grid = PixelGrid(0.0, 0.0, mpp)
    away_um, nearest = np.full(len(centers_um), np.inf), np.zeros(len(centers_um), int)
    if len(found) and len(centers_um):
        away_um, nearest = cKDTree(found.centers_um).query(centers_um)
    features = np.full((len(centers_um), FEATURES), np.nan, np.float32)
    for k, center_um in enumerate(centers_um):
        if away_um[k] <= MATCH_UM:
            features[k] = _described(rgb, grid.to_px(found.outlines[int(nearest[k])]), profile)
        else:
            disc = _described(rgb, grid.to_px(center_um + DISC_UM * _CIRCLE), profile)
            features[k, len(SHAPE) :] = disc[len(SHAPE) :]
    return features


def _described(
    rgb: Rgb, outline_yx: npt.NDArray[np.float64], profile: StainProfile
) -> npt.NDArray[np.float32]:
    """Features of one outline (v, 2); NaN where it holds no pixel."""
    low = np.maximum(np.floor(outline_yx.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(outline_yx.max(0)).astype(int) + 1, rgb.shape[:2])
    if (high <= low).any():
        return np.full(FEATURES, np.nan, np.float32)
    pixels = rgb[low[0] : high[0], low[1] : high[1]]
    mask = polygon2mask(pixels.shape[:2], outline_yx - low)
    if not mask.any():
        return np.full(FEATURES, np.nan, np.float32)
    amounts = np.dstack([pixels.astype(np.float32), hematoxylin_od(pixels, profile)])
    table = regionprops_table(mask.astype(np.uint8), amounts, properties=(*SHAPE, *COLOUR))
    names = [*SHAPE, *(f"{c}-{k}" for c in COLOUR for k in range(CHANNELS))]
    return np.array([table[name][0] for name in names], np.float32)

"""Where the tissue is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_holes, remove_small_objects

from napari_past.slide import channels
from napari_past.types import FloatArray, Rect, Rgb

TISSUE_MPP = 8.0
"""µm/px of the mask: one nucleus."""
_FAINTEST_OD, _DENSEST_LIMIT_OD = 0.05, 0.12
"""Bounds of the limit between glass and tissue, so that Otsu's choice on a slide of glass alone or
of tissue alone does not split noise or stain."""
_FAINTEST_TEXTURE_OD = 0.02
_FAINT_OD, _FAINT_TEXTURE_OD = 0.03, 0.012
"""The same for counterstains, whose stroma hardly has any."""
_SMOOTHING_UM = 8.0
_SMALLEST_TISSUE_UM2 = 2_000.0
_SMALLEST_HOLE_UM2 = 10_000.0


@dataclass(frozen=True)
class TissueMask:
    """Tissue on a grid: pixel (r, c) covers [c·mpp, (c + 1)·mpp) x [r·mpp, (r + 1)·mpp) µm."""

    mask: npt.NDArray[np.bool_]
    """(h, w), True where there is tissue."""
    mpp: float
    """µm/px of the mask."""

    def covers(self, rect: Rect) -> bool:
        """Whether a rectangle holds any tissue, or comes within one mask pixel of some."""
        height, width = self.mask.shape
        r0 = max(math.floor(rect.y_um / self.mpp) - 1, 0)
        c0 = max(math.floor(rect.x_um / self.mpp) - 1, 0)
        r1 = min(math.ceil(rect.y1_um / self.mpp) + 1, height)
        c1 = min(math.ceil(rect.x1_um / self.mpp) + 1, width)
        return r0 < r1 and c0 < c1 and bool(self.mask[r0:r1, c0:c1].any())

    def contains(self, points_um: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each point (n, 2), (x, y) in µm, lies on tissue; shape (n,)."""
        cells = np.floor(np.asarray(points_um, dtype=np.float64) / self.mpp)
        height, width = self.mask.shape
        x, y = cells[:, 0], cells[:, 1]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        out = np.zeros(len(cells), dtype=bool)
        out[inside] = self.mask[y[inside].astype(int), x[inside].astype(int)]
        return out

    @property
    def area_mm2(self) -> float:
        """Area of tissue in mm²."""
        return float(self.mask.sum()) * self.mpp**2 / 1e6


def stained_density(od: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean of optical densities (h, w, 3) over channels, where above 0, plus half their spread."""
    least, most = channels.extremes(od)
    return np.asarray(np.maximum(channels.mean(od), 0) + (most - least) / 2, np.float32)


def tissue_mask(
    rgb: Rgb, mpp: float, background: tuple[int, int, int], faint: bool = False
) -> TissueMask:
    """Tissue of a whole slide: inclusive, since missed tissue is missed cells.

    Optical density over glass (its mean over channels plus half its spread, which favours stain
    over shadow), smoothed, is split by Otsu's method (IEEE Trans SMC 9, 62, 1979) within fixed
    bounds. Pixels that are as dense as the bounds' lower end count too where they are textured.

    Parameters
    ----------
    rgb
        The slide at the mask's resolution, uint8, (h, w, 3).
    mpp
        µm/px of `rgb`.
    background
        Red, green, blue of glass.
    faint
        Whether stain may be as pale as a counterstain: the limit then is fixed and low, since dark
        brown would draw Otsu's up to where pale blue is glass.
    """
    glass = np.log10(np.asarray(background, dtype=np.float32) + 1)
    od = glass - np.log10(rgb.astype(np.float32) + 1)
    density = stained_density(od)
    sigma = _SMOOTHING_UM / mpp
    smooth = ndimage.gaussian_filter(density, sigma)
    rough = ndimage.gaussian_filter(density**2, 2 * sigma)
    rough = np.sqrt(np.maximum(rough - ndimage.gaussian_filter(density, 2 * sigma) ** 2, 0))
    if faint:
        found = (smooth >= _FAINTEST_OD) | ((smooth >= _FAINT_OD) & (rough >= _FAINT_TEXTURE_OD))
    else:
        otsu = float(threshold_otsu(smooth)) if smooth.min() < smooth.max() else _FAINTEST_OD
        limit = min(max(otsu, _FAINTEST_OD), _DENSEST_LIMIT_OD)
        found = (smooth >= limit) | ((smooth >= _FAINTEST_OD) & (rough >= _FAINTEST_TEXTURE_OD))
    speck_px = max(1, round(_SMALLEST_TISSUE_UM2 / mpp**2))
    hole_px = max(1, round(_SMALLEST_HOLE_UM2 / mpp**2))
    found = remove_small_objects(found, max_size=speck_px)
    return TissueMask(remove_small_holes(found, max_size=hole_px), mpp)

"""Tissue that is out of focus.

Defocus takes the fine detail away before the coarser: the energy of the finest band of the light
over that of the next one falls, whatever the stain or contrast. Local sharpness from the balance of
bands: Vu, Phan & Chandler 2012 (IEEE Trans Image Process 21, 934); measures of focus from Laplacian
bands: Pertuz et al. 2013 (Pattern Recognit 46, 1415).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import remove_small_holes, remove_small_objects

from napari_past.quality.features import Features, Field

COARSEST_DETAIL_UM = 2.0
"""Slides coarser than this hold no band that defocus changes alone: nothing is called blurred."""
SHARPEST_BLUR = 0.5
"""Energy of the fine band over that of the middle one. Of the tuning tissue in focus 99.9 % lies
above 0.51; after a Gaussian blur of 2 µm 99 % of it lies below 0.49."""
LEAST_DETAIL = 3e-5
"""Energy of the middle band, of light relative to glass, below which there is nothing to judge."""
WEIGHT_POWER = 0.25
LEAST_JUDGED = 0.2
"""Share of a neighbourhood with enough detail, below which nothing is called blurred."""
POOLED_UM = 24.0
SMALLEST_UM2 = 6_000.0


def blurred(features: Features, tissue: npt.NDArray[np.bool_], mpp: float) -> npt.NDArray[np.bool_]:
    """(h, w) bool, tissue out of focus; none where the slide is too coarse to tell."""
    if features.detail_mpp > COARSEST_DETAIL_UM * 1.01:
        return np.zeros_like(tissue)
    judged = tissue & ~_at_border(tissue.shape) & (features.middle > LEAST_DETAIL)
    weight = np.where(judged, np.maximum(features.middle, LEAST_DETAIL) ** WEIGHT_POWER, 0)
    # The mean of logarithms: a sharp neighbour, with fifty times the energy, must not outshout.
    sigma = POOLED_UM / mpp
    pooled = ndimage.gaussian_filter(weight * _log_ratio(features), sigma)
    total = np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-9)
    share = ndimage.gaussian_filter(judged.astype(np.float32), sigma)
    found = tissue & (pooled < math.log(SHARPEST_BLUR) * total) & (share >= LEAST_JUDGED)
    least_px = max(1, math.ceil(SMALLEST_UM2 / mpp**2))
    found = remove_small_objects(found, max_size=least_px)
    return np.asarray(remove_small_holes(found, max_size=least_px) & tissue)


def _log_ratio(features: Features) -> Field:
    floor = 1e-9
    fine, middle = np.maximum(features.fine, floor), np.maximum(features.middle, floor)
    return np.asarray(np.log(fine / middle), np.float32)


def _at_border(shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Pixels at the slide's edge, beyond which the filters see a step to glass."""
    border = np.ones(shape, np.bool_)
    border[2:-2, 2:-2] = False
    return border

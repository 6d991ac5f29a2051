"""Marker ink, told from stain by its colour in optical density.

Haematoxylin and eosin take more green than red (Ruifrok & Johnston 2001, Anal Quant Cytol Histol
23, 291); blue and green ink take more red than green, black ink takes all channels alike, and red
ink takes blue as much as green but hardly any red. Rules on colour to find pen marks are as in
HistoQC (Janowczyk et al. 2019, JCO Clin Cancer Inform 3, 1).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import remove_small_objects

from napari_past.quality.features import Features, Field

SMALLEST_STROKE_UM2 = 10_000.0
"""Specks of ink are left: a stroke is hundreds of µm wide."""
LEAST_OD = 0.12
COOL, COOL_SURE, COOL_RIM = 1.12, 1.5, 1.0
"""Density in red over that in green: of blue and green ink at least, whatever the stain, and of
stain seen through it at least. The slide's own stain sets both higher where it is bluish."""
COOLER = 1.35
"""How much the ink's ratio exceeds the median of the slide's tissue."""
BLACK_OD, BLACK_RIM_OD = 0.60, 0.45
"""Least density in any channel."""
BLACK_GREY, BLACK_RIM_GREY = 0.72, 0.68
"""Least over greatest density of the channels; the tuning tissue stays below both here."""
RED_BLUE, RED_RIM_BLUE = 0.74, 0.67
"""Density in blue over that in green, where green is dense and red is hardly taken."""
MOST_RED = 0.35
"""Density in red over that in green of red ink; DAB takes more of red."""
RED_OD, RED_RIM_OD = 0.50, 0.30
SMOOTHED_UM = 8.0


def inked(features: Features, tissue: npt.NDArray[np.bool_], mpp: float) -> npt.NDArray[np.bool_]:
    """(h, w) bool, places under blue, green, black or red marker ink."""
    sigma = SMOOTHED_UM / mpp
    red, green, blue = (
        ndimage.gaussian_filter(field, sigma)
        for field in (features.od_red, features.od_green, features.od_blue)
    )
    mean = (red + green + blue) / 3
    least, most = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    grey = _ratio(least, most)
    dense = tissue & (mean >= LEAST_OD)
    cool = _ratio(red, green)
    own = float(np.median(cool[dense])) if dense.any() else 0.0
    limit = min(max(COOLER * own, COOL), COOL_SURE)
    rim = min(max(COOL_RIM, (own + limit) / 2), limit)
    found = _grown(dense & (cool >= limit), dense & (cool >= rim), mpp)
    found |= _grown(
        (least >= BLACK_OD) & (grey >= BLACK_GREY),
        (least >= BLACK_RIM_OD) & (grey >= BLACK_RIM_GREY),
        mpp,
    )
    warm, reddish = _ratio(blue, green), tissue & (cool <= MOST_RED)
    found |= _grown(
        reddish & (warm >= RED_BLUE) & (green >= RED_OD),
        reddish & (warm >= RED_RIM_BLUE) & (green >= RED_RIM_OD),
        mpp,
    )
    # The rim of a stroke is thinner ink: it has the ink's colour no longer, but its effect.
    return np.asarray(ndimage.binary_dilation(found, iterations=1) & tissue)


def _grown(
    sure: npt.NDArray[np.bool_], likely: npt.NDArray[np.bool_], mpp: float
) -> npt.NDArray[np.bool_]:
    """What is likely and hangs together with a sure stroke."""
    least_px = max(1, math.ceil(SMALLEST_STROKE_UM2 / mpp**2))
    strokes = remove_small_objects(ndimage.binary_opening(sure), max_size=least_px)
    if not strokes.any():
        return np.zeros_like(sure)
    level = strokes.astype(np.uint8) + (likely | strokes)
    return np.asarray(apply_hysteresis_threshold(level, 0.5, 1.5))


def _ratio(numerator: Field, denominator: Field) -> Field:
    return np.asarray(numerator / np.maximum(denominator, 1e-3), np.float32)

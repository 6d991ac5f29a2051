"""Folded tissue: a band that is twice as dense as what lies on both sides, in the same colour.

Folds as bands of high density, found with thresholds of each slide's own: Kothari et al. 2013
(J Pathol Inform 4, 22). Here the reference is local, and a band that is darker in one stain alone,
as epithelium beside stroma, is not taken.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import apply_hysteresis_threshold
from skimage.measure import label, regionprops

from napari_past.quality.features import Features

AROUND_UM = 328.0
"""Side of the square whose mean is what the tissue is like here."""
DENSER, DENSER_RIM = 1.5, 1.25
"""Density over that of the square, in every channel and in the palest part of a pixel."""
SMALLEST_UM2 = 4_000.0
LEAST_ELONGATION, LEAST_SOLIDITY = 2.5, 0.6
WIDEST_UM = 160.0
LEAST_DOUBLING, MOST_DOUBLING = 1.85, 3.5
"""Median density of the band over that of its flanks, in green and in blue."""
MOST_COLOUR_CHANGE = 1.65
"""Greatest over least of the channels' ratios."""
FLANK_UM, GAP_UM = 72.0, 16.0
MOST_AS_DENSE = 0.10
"""Share of the tissue around that is as dense in green as the paler quarter of the band: what
occurs all around is how this tissue is."""
MOST_BESIDE = 1.2
"""Density between one and two gaps from the band over that of the flanks: a fold ends at a line,
where dense tissue thins out."""


def folded(features: Features, tissue: npt.NDArray[np.bool_], mpp: float) -> npt.NDArray[np.bool_]:
    """(h, w) bool, bands of doubled tissue."""
    side_px = max(3, round(AROUND_UM / mpp) | 1)
    weight = ndimage.uniform_filter(tissue.astype(np.float32), side_px)
    palest = ndimage.minimum_filter(np.maximum(features.palest_od, 0), 3)
    denser = np.full(tissue.shape, np.inf, np.float32)
    for field in (features.od_red, features.od_green, features.od_blue, palest):
        around = ndimage.uniform_filter(np.where(tissue, field, 0), side_px)
        around = np.maximum(around / np.maximum(weight, 1e-3), 0.03)
        denser = np.minimum(denser, ndimage.gaussian_filter(field, 8.0 / mpp) / around)
    candidates = apply_hysteresis_threshold(denser, DENSER_RIM, DENSER) & tissue
    candidates = ndimage.binary_opening(candidates)
    clear = tissue & ~ndimage.binary_dilation(candidates, iterations=_px(GAP_UM, mpp))
    found = np.zeros_like(tissue)
    for band in regionprops(label(candidates)):
        wide_um = band.axis_minor_length * mpp
        if (
            band.area * mpp**2 < SMALLEST_UM2
            or band.axis_major_length < LEAST_ELONGATION * band.axis_minor_length
            or wide_um > WIDEST_UM
            or band.solidity < LEAST_SOLIDITY
        ):
            continue
        window = _grown_window(band.slice, _px(FLANK_UM, mpp) + 1, tissue.shape)
        inside = np.zeros(tissue.shape, np.bool_)[window]
        rows, columns = band.coords.T
        inside[rows - window[0].start, columns - window[1].start] = True
        if _doubled(features, window, inside, clear[window], tissue[window], mpp):
            found[window] |= inside
    return np.asarray(ndimage.binary_dilation(found) & tissue)


def _doubled(
    features: Features,
    window: tuple[slice, slice],
    inside: npt.NDArray[np.bool_],
    clear: npt.NDArray[np.bool_],
    tissue: npt.NDArray[np.bool_],
    mpp: float,
) -> bool:
    """Whether a band has twice the density of its flanks, their colour, and an edge."""
    near = ndimage.binary_dilation(inside, iterations=_px(FLANK_UM, mpp)) & tissue
    near &= ~ndimage.binary_dilation(inside, iterations=_px(GAP_UM, mpp))
    flank = near & clear
    if flank.sum() < inside.sum() / 2:
        return False
    beside = ndimage.binary_dilation(inside, iterations=_px(2 * GAP_UM, mpp))
    beside &= ~ndimage.binary_dilation(inside, iterations=_px(GAP_UM, mpp))
    channels = np.stack(
        [f[window] for f in (features.od_red, features.od_green, features.od_blue)], axis=-1
    )
    around = np.maximum(np.median(channels[flank], axis=0), 0.02)
    paler_quarter = np.percentile(channels[inside][:, 1], 25)
    band = np.median(channels[inside], axis=0) / around
    step = np.median(channels[beside], axis=0) / around
    return bool(
        band[1:].min() >= LEAST_DOUBLING
        and band[1:].max() <= MOST_DOUBLING
        and band.max() <= MOST_COLOUR_CHANGE * band.min()
        and step[1:].max() <= MOST_BESIDE
        and (channels[near][:, 1] >= paler_quarter).mean() <= MOST_AS_DENSE
    )


def _px(length_um: float, mpp: float) -> int:
    return max(1, math.ceil(length_um / mpp))


def _grown_window(
    window: tuple[slice, slice], by: int, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    rows, columns = (
        slice(max(s.start - by, 0), min(s.stop + by, size))
        for s, size in zip(window, shape, strict=True)
    )
    return rows, columns

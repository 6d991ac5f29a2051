"""Where discs of tissue lie on a mask: how wide they are, and their centres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.signal import fftconvolve

STEP_UM = 40.0
"""µm/px at which discs are looked for: 15 pixels across the smallest core."""
SMALLEST_UM, LARGEST_UM = 500.0, 2400.0
"""Diameters that are tried: needles of 0.6 to 2 mm, and what a section shrinks or spreads."""
_DIAMETERS_UM = tuple(SMALLEST_UM * 1.08**k for k in range(21))
_RING = 1.35
"""Outer radius of the ring around a disc that should be glass, in radii."""
_LEAST_CONTRAST = 0.25
"""Share of tissue within less that around: below it a place is no disc, torn or not."""
_APART = 0.75
"""Least distance of two cores in diameters: less than 1, since cores touch and are torn."""

FloatMap = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Candidates:
    """Places that may be cores of one diameter."""

    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in slide space."""
    contrast: npt.NDArray[np.float64]
    """(n,), share of tissue in the disc less that in the ring around it, −1 to 1."""
    diameter_um: float


def coarse(mask: npt.NDArray[np.bool_], mpp: float) -> tuple[FloatMap, float]:
    """Share of tissue (h, w) in blocks of about `STEP_UM`, and the µm/px of these blocks."""
    block = max(1, round(STEP_UM / mpp))
    height, width = (math.ceil(side / block) * block for side in mask.shape)
    padded = np.zeros((height, width), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    blocks = padded.reshape(height // block, block, width // block, block)
    return blocks.mean(axis=(1, 3)), block * mpp


def likely_diameter(tissue: FloatMap, mpp: float) -> float | None:
    """The diameter whose discs explain the tissue best, in µm; None where nothing is a disc.

    Each diameter is judged by the mean contrast of its discs times the tissue that lies in them:
    too small a disc has tissue around it, too large a one holds glass.
    """
    scores = []
    height, width = (side // 2 * 2 for side in tissue.shape)
    # Half the resolution is enough to tell widths apart, in a quarter of the time.
    tissue = tissue[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    for diameter_um in _DIAMETERS_UM:
        found = find_discs(tissue, 2 * mpp, diameter_um)
        clear = found.contrast[found.contrast > 2 * _LEAST_CONTRAST]
        scores.append(float((clear**2).sum()) * diameter_um**2)
    best = int(np.argmax(scores))
    if scores[best] <= 0:
        return None
    if not 0 < best < len(scores) - 1:
        return _DIAMETERS_UM[best]
    low, mid, high = scores[best - 1 : best + 2]
    shift = (low - high) / (2 * (low - 2 * mid + high)) if low - 2 * mid + high < 0 else 0.0
    return _DIAMETERS_UM[best] * 1.08**shift


def find_discs(tissue: FloatMap, mpp: float, diameter_um: float) -> Candidates:
    """Places of discs of one diameter, none within three quarters of it of a clearer one.

    Parameters
    ----------
    tissue
        As `coarse` gives it, of `mpp` µm/px.
    """
    radius_px = diameter_um / 2 / mpp
    within = disc_share(tissue, radius_px)
    outer = _RING * radius_px
    # What lies in the ring, from the two discs that bound it.
    ring = (disc_share(tissue, outer) * outer**2 - within * radius_px**2) / (
        outer**2 - radius_px**2
    )
    contrast = within - np.maximum(ring, 0)
    smooth = ndimage.gaussian_filter(contrast, 0.1 * radius_px)
    # A square is quick; the distance is seen to below.
    highest = ndimage.maximum_filter(
        smooth, size=2 * round(_APART * radius_px / 2) + 1, mode="constant", cval=-1
    )
    rows, columns = np.nonzero((smooth >= highest) & (smooth > _LEAST_CONTRAST))
    order = np.argsort(-smooth[rows, columns], kind="stable")
    yx = np.stack([rows, columns], axis=1)[order].astype(np.float64)
    kept: list[int] = []
    for i in range(len(yx)):
        away = np.hypot(*(yx[kept] - yx[i]).T) if kept else np.array([np.inf])
        if away.min() >= 2 * _APART * radius_px:
            kept.append(i)
    chosen = yx[kept].reshape(-1, 2)
    index = chosen.astype(np.intp)
    centers = (chosen[:, ::-1] + 0.5) * mpp
    return Candidates(centers, contrast[index[:, 0], index[:, 1]].astype(np.float64), diameter_um)


def edge_diameter(
    tissue: FloatMap, mpp: float, centers_um: npt.NDArray[np.float64], diameter_um: float
) -> float:
    """Where the tissue of discs (n, 2) ends, as a diameter in µm near `diameter_um`.

    Share of tissue at each distance from the centre, of which the median of all discs is taken:
    some are torn, and some touch another one. The edge is where it falls to half of the inside's.
    """
    radius_px = diameter_um / 2 / mpp
    away_px = np.arange(0.5, 1.4 * radius_px, 0.5)
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = np.stack([np.sin(turns), np.cos(turns)])
    yx = centers_um[:, ::-1].T / mpp - 0.5
    at = yx[:, :, None, None] + away_px[:, None] * ring[:, None, None, :]
    shares = ndimage.map_coordinates(tissue, at, order=1, mode="constant").mean(axis=2)
    profile = np.median(shares, axis=0)
    half = profile[away_px < 0.7 * radius_px].mean() / 2
    outside = np.flatnonzero((profile < half) & (away_px > 0.7 * radius_px))
    if not len(outside):
        return diameter_um
    j = int(outside[0])
    inner, outer = profile[j - 1], profile[j]
    return float(2 * mpp * (away_px[j] - 0.5 * (half - outer) / max(inner - outer, 1e-6)))


def disc_share(tissue: FloatMap, radius_px: float) -> FloatMap:
    """Share of tissue in the disc around each pixel, 0 to 1, (h, w); outside is glass."""
    disc = _disc(radius_px)
    return np.asarray(fftconvolve(tissue, disc / disc.sum(), mode="same"), np.float32)


def _disc(radius_px: float) -> FloatMap:
    """Share of each pixel that lies in the disc around the middle one, (2 k + 1, 2 k + 1)."""
    half = math.ceil(radius_px)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return np.clip(radius_px + 0.5 - np.hypot(y, x), 0, 1).astype(np.float32)

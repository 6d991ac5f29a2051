"""Stain vectors of a slide and the haematoxylin in its pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_past.optical_density import RUIFROK_EOSIN, RUIFROK_HEMATOXYLIN, density_of_values
from napari_past.types import Rgb, StainProfile

MIN_TISSUE_OD = 0.15  # summed over channels ÷ 3; below lies glass
MIN_TISSUE_PIXELS = 400
MAX_SAMPLE_PIXELS = 250_000
INK_RED_OVER_GREEN = 1.35  # haematoxylin takes about as much red as green, eosin far less
DENSE_RED_OD, DENSE_INK_RED_OVER_GREEN = 1.4, 1.15  # ink over tissue: nuclei as dense are black
INK_NEAR, INK_NEAR_SHARE = 65, 0.2  # so much ink among so many pixels in a row: all of them go
MARKER_OD, MARKER_LEAST_SHARE = 0.9, 0.85  # as dark as a nucleus, and blue is taken like the rest
MIN_ANGLE_DEG = 10.0  # between two stains; the narrowest seen on real slides is twice that
ANGLE_PERCENTILE = 1.0  # Macenko et al. 2009, robust extremes of the angle in the stain plane


def optical_density(rgb: Rgb, background: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Optical density, float32, shape of `rgb` (…, 3), clipped to >= 0."""
    table = np.stack([density_of_values(b) for b in background], axis=1).astype(np.float32)
    return np.stack([table[:, c][rgb[..., c]] for c in range(3)], axis=-1)


def hematoxylin_od(rgb: Rgb, profile: StainProfile) -> npt.NDArray[np.float32]:
    """Amount of haematoxylin in each pixel in OD units, float32, shape of `rgb` without channels.

    One row of the pseudo-inverse of the stain matrix, so the eosin part is removed.
    """
    basis = np.array([profile.hematoxylin, profile.eosin], dtype=np.float64)
    weights = np.linalg.pinv(basis)[:, 0]
    result = np.zeros(rgb.shape[:-1], dtype=np.float32)
    for c in range(3):
        od = density_of_values(profile.background[c])
        result += (weights[c] * od).astype(np.float32)[rgb[..., c]]
    return np.maximum(result, 0.0)


def estimate_stains(rgb: Rgb, background: tuple[float, float, float]) -> StainProfile:
    """Stain vectors of a picture, by the method of Macenko et al. 2009 (ISBI, p. 1107).

    Parameters
    ----------
    rgb
        Pixels of tissue and glass, uint8, (…, 3); at most 250,000 of them are used, evenly spaced.
        Those as blue or green as a pen's, or as black as a marker's, are left out.
    background
        Colour of clear glass, 0–255.

    Returns
    -------
    StainProfile
        Ruifrok's fixed vectors where there are under 400 tissue pixels or the estimate cannot be
        told apart from a single stain.
    """
    pixels = rgb.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // MAX_SAMPLE_PIXELS)]
    od = optical_density(pixels, background)
    tissue = od[(od.mean(axis=1) > MIN_TISSUE_OD) & ~_ink(od)].astype(np.float64)
    hematoxylin, eosin = _unit(RUIFROK_HEMATOXYLIN), _unit(RUIFROK_EOSIN)
    if len(tissue) >= MIN_TISSUE_PIXELS:
        estimated = _macenko(tissue)
        if estimated is not None:
            hematoxylin, eosin = estimated
    amounts = np.maximum(tissue @ np.linalg.pinv(np.array([hematoxylin, eosin]))[:, 0], 0.0)
    scale = float(np.percentile(amounts, 99)) if len(tissue) >= MIN_TISSUE_PIXELS else 1.0
    return StainProfile(
        tuple(float(v) for v in hematoxylin),  # type: ignore[arg-type]
        tuple(float(v) for v in eosin),  # type: ignore[arg-type]
        tuple(float(v) for v in background),  # type: ignore[arg-type]
        max(scale, 0.2),
    )


def _ink(od: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether each pixel (n, 3), in reading order, is ink: a stroke would rule the percentiles."""
    red, green, blue = od.T
    marker = (od.mean(axis=1) > MARKER_OD) & (blue > MARKER_LEAST_SHARE * od.max(axis=1))
    pen = (red > INK_RED_OVER_GREEN * green) & (red > MIN_TISSUE_OD)
    pen |= (red > DENSE_INK_RED_OVER_GREEN * green) & (red > DENSE_RED_OD)
    ink = pen | marker
    # Under a stroke tissue and ink mix to colours that could be stain.
    near = ndimage.uniform_filter1d(ink.astype(np.float32), INK_NEAR, mode="nearest")
    return np.asarray(ink | (near > INK_NEAR_SHARE))


def _unit(vector: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    v = np.asarray(vector, dtype=np.float64)
    return v / np.linalg.norm(v)


def _macenko(
    od: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    _, vectors = np.linalg.eigh(np.cov(od, rowvar=False))
    plane = vectors[:, [2, 1]]
    plane *= np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    projected = od @ plane
    angles = np.arctan2(projected[:, 1], projected[:, 0])
    low, high = np.percentile(angles, [ANGLE_PERCENTILE, 100 - ANGLE_PERCENTILE])
    ends = [plane @ np.array([np.cos(a), np.sin(a)]) for a in (low, high)]
    ends = [np.maximum(e, 0.0) for e in ends]
    if any(np.linalg.norm(e) < 1e-6 for e in ends):
        return None
    ends = [e / np.linalg.norm(e) for e in ends]
    if np.degrees(np.arccos(np.clip(ends[0] @ ends[1], -1, 1))) < MIN_ANGLE_DEG:
        return None
    # Blue-purple haematoxylin lets blue pass and takes red; pink eosin the other way round.
    ratio = [e[2] / max(e[0], 1e-6) for e in ends]
    hematoxylin, eosin = (ends[0], ends[1]) if ratio[0] < ratio[1] else (ends[1], ends[0])
    if hematoxylin[0] < 0.3:
        return None
    return hematoxylin, eosin

"""A drawn tissue microarray whose cores are known: an oracle for finding them.

Cores are discs of blotchy stain at a low resolution: enough for where the tissue is, not for
nuclei.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi

from napari_past.sample.phantom import EOSIN, GLASS, HEMATOXYLIN, LN_TRANSMITTED, NOISE_COUNTS
from napari_past.types import Rgb

MARGIN_UM = 1500.0


@dataclass(frozen=True)
class ArrayPlan:
    """How a microarray is laid out and what went wrong with it."""

    rows: int = 8
    columns: int = 12
    diameter_um: float = 1000.0
    pitch: float = 1.5
    """Distance of neighbours in diameters."""
    row_stretch: float = 1.0
    """Distance of rows over that of columns."""
    rotation_deg: float = 0.0
    bend: float = 0.0
    """How far the middle of a row lies off the line between its ends, in pitches."""
    jitter: float = 0.03
    """Standard deviation of each core's place, in pitches."""
    missing: float = 0.0
    """Share of positions without a core."""
    torn: float = 0.0
    """Share of cores that lost a piece."""
    dirt: int = 0
    """Specks of dirt on the glass, up to half a core long."""


@dataclass(frozen=True)
class Microarray:
    """The slide, and the truth about it; positions are (x, y) in µm of slide space."""

    rgb: Rgb
    """(Y, X, 3) uint8."""
    mpp: float
    centers_um: npt.NDArray[np.float64]
    """(rows, columns, 2), of every position."""
    present: npt.NDArray[np.bool_]
    """(rows, columns), whether a core was drawn there."""
    torn: npt.NDArray[np.bool_]
    """(rows, columns), whether it lost a piece."""
    diameter_um: float


def draw_microarray(plan: ArrayPlan, mpp: float = 8.0, seed: int = 0) -> Microarray:
    """A slide with the cores of a plan; the same arguments give the same pixels.

    Parameters
    ----------
    mpp
        µm/px, 1 to 20.
    seed
        Which pieces are missing and torn, and where they lie, a non-negative integer.
    """
    if not 1 <= mpp <= 20:
        raise ValueError(f"A microarray is drawn at 1 to 20 µm/px, but got {mpp}.")
    rng = np.random.default_rng(seed)
    centers, size_um = _centers(plan, rng)
    shape = (math.ceil(size_um[1] / mpp), math.ceil(size_um[0] / mpp))
    present = rng.random((plan.rows, plan.columns)) >= plan.missing
    torn = present & (rng.random((plan.rows, plan.columns)) < plan.torn)
    hematoxylin = np.zeros(shape, np.float32)
    eosin = np.zeros(shape, np.float32)
    for row, column in np.argwhere(present):
        _core(rng, hematoxylin, eosin, centers[row, column], plan, mpp, bool(torn[row, column]))
    for _ in range(plan.dirt):
        _speck(rng, hematoxylin, plan.diameter_um, mpp)
    light = np.exp(
        LN_TRANSMITTED * (hematoxylin[..., None] * HEMATOXYLIN + eosin[..., None] * EOSIN)
    )
    pixels = np.asarray(GLASS, np.float32) * light
    pixels += rng.normal(0, NOISE_COUNTS, shape).astype(np.float32)[..., None]
    rgb = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Microarray(rgb, mpp, centers, present, torn, plan.diameter_um)


def _centers(
    plan: ArrayPlan, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Places (rows, columns, 2), and the size of the slide, in µm."""
    pitch_um = plan.pitch * plan.diameter_um
    row, column = np.mgrid[: plan.rows, : plan.columns].astype(np.float64)
    across = 2 * column / max(plan.columns - 1, 1) - 1
    x = column * pitch_um
    y = row * pitch_um * plan.row_stretch + plan.bend * pitch_um * (1 - across**2)
    angle = math.radians(plan.rotation_deg)
    turned = np.stack(
        [x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)],
        axis=-1,
    )
    turned += rng.normal(0, plan.jitter * pitch_um, turned.shape)
    edge = MARGIN_UM + plan.diameter_um / 2
    turned += edge - turned.min(axis=(0, 1))
    return turned, turned.max(axis=(0, 1)) + edge


def _core(
    rng: np.random.Generator,
    hematoxylin: npt.NDArray[np.float32],
    eosin: npt.NDArray[np.float32],
    center_um: npt.NDArray[np.float64],
    plan: ArrayPlan,
    mpp: float,
    torn: bool,
) -> None:
    radius_px = plan.diameter_um / 2 / mpp
    x_px, y_px = center_um / mpp
    half = math.ceil(1.2 * radius_px)
    top, left = round(y_px) - half, round(x_px) - half
    window = (
        slice(max(top, 0), min(top + 2 * half + 1, len(eosin))),
        slice(max(left, 0), min(left + 2 * half + 1, eosin.shape[1])),
    )
    y, x = np.mgrid[window] + 0.5
    away = np.hypot(y - y_px, x - x_px)
    angle = np.arctan2(y - y_px, x - x_px)
    # An edge that waves by some percent, as a section's does.
    wave = sum(
        rng.normal(0, 0.02) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 6)
    )
    inside = away <= radius_px * (1 + wave)
    if torn:
        turn, depth = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.5)
        inside &= (np.cos(turn) * (x - x_px) + np.sin(turn) * (y - y_px)) < depth * radius_px
    coarse = rng.normal(0, 1, inside.shape).astype(np.float32)
    blotch = ndi.gaussian_filter(coarse, 60 / mpp)
    blotch /= max(float(blotch.std()), 1e-6)
    cellular = rng.uniform(0.1, 0.5)
    hematoxylin[window] = np.where(
        inside, np.clip(cellular + 0.12 * blotch, 0.03, 1.2), hematoxylin[window]
    )
    eosin[window] = np.where(inside, np.clip(0.35 + 0.08 * blotch, 0.1, 0.8), eosin[window])


def _speck(
    rng: np.random.Generator,
    hematoxylin: npt.NDArray[np.float32],
    diameter_um: float,
    mpp: float,
) -> None:
    """A fibre or a crumb somewhere on the glass."""
    height, width = hematoxylin.shape
    long_px, wide_px = rng.uniform(0.1, 0.5) * diameter_um / mpp, rng.uniform(40, 120) / mpp
    y0, x0, turn = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(0, np.pi)
    half = math.ceil(long_px)
    window = (
        slice(max(int(y0) - half, 0), min(int(y0) + half, height)),
        slice(max(int(x0) - half, 0), min(int(x0) + half, width)),
    )
    y, x = np.mgrid[window] + 0.5
    along = np.cos(turn) * (x - x0) + np.sin(turn) * (y - y0)
    across = np.cos(turn) * (y - y0) - np.sin(turn) * (x - x0)
    hit = (np.abs(along) < long_px / 2) & (np.abs(across) < wide_px / 2)
    hematoxylin[window] = np.where(hit, 0.9, hematoxylin[window])

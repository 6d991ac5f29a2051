"""The phantom: anatomy, stains and optics put together into an RGB image with known nuclei.

Light follows Beer and Lambert: a pixel is ``glass * 10 ** -(h H + e E)``, with stain vectors near
those of Ruifrok and Johnston (Anal Quant Cytol Histol 2001). Then come the optics (a slight blur of
the light), a patch out of focus, and the camera's noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import shapely
from scipy.spatial import cKDTree

from napari_past.sample.anatomy import Anatomy, plan_anatomy
from napari_past.sample.background import STEP_UM, paint, survey
from napari_past.sample.nuclei import EPITHELIAL, place_nuclei
from napari_past.sample.raster import inside_mask, signed_distance_px
from napari_past.sample.stamps import Patch, nucleus_patches, red_cell_patches
from napari_past.sample.texture import Field, ramp, resampled, smooth_noise
from napari_past.types import Rgb

GLASS = (244.0, 243.0, 244.0)
"""Red, green, blue of clear glass."""
MIN_SIDE_UM, MAX_PIXELS = 100.0, 2**28
MPP_RANGE = (0.1, 2.0)
OPTICS_UM = 0.32
"""Standard deviation of the blur in focus: about that of a 20x objective of aperture 0.75."""
DEFOCUS_UM = 2.6
NOISE_COUNTS = 1.3
LN_TRANSMITTED = np.float32(-math.log(10))
"""Light is ``exp(LN_TRANSMITTED * density)``."""
BAND_ROWS = 128
"""Rows that are worked on at once, so that they stay in the processor's cache."""


def _unit(red: float, green: float, blue: float) -> Field:
    vector = np.array([red, green, blue], dtype=np.float32)
    return vector / np.linalg.norm(vector)


HEMATOXYLIN = _unit(0.650, 0.704, 0.286)
EOSIN = _unit(0.130, 0.880, 0.440)
RED_CELL = _unit(0.100, 0.800, 0.590)
PEN = _unit(0.880, 0.420, 0.220)


@dataclass(frozen=True)
class Phantom:
    """A drawn H&E slide and the truth about it; positions are (x, y) in µm of slide space."""

    rgb: Rgb
    """(Y, X, 3) uint8."""
    mpp: float
    centers_um: npt.NDArray[np.float64]
    """(n, 2), the centre of every nucleus that is drawn."""
    kinds: npt.NDArray[np.str_]
    """(n,), "epithelial", "fibroblast" or "lymphocyte"."""
    radii_um: npt.NDArray[np.float64]
    """(n,), radius of the circle of the same area."""
    regions: Mapping[str, shapely.Polygon | shapely.MultiPolygon]
    """"tissue", "glands" (the tumour), "blur" (out of focus) and "pen" (an ink mark), in µm."""


def draw_phantom(
    width_px: int = 2048, height_px: int = 1536, mpp: float = 0.5, seed: int = 0
) -> Phantom:
    """A procedural H&E image with its nuclei; the same arguments give the same pixels.

    Parameters
    ----------
    width_px, height_px
        Size of the image; each side must cover at least 100 µm.
    mpp
        µm/px, 0.1 to 2. One seed and one size in µm give one tissue at every µm/px.
    seed
        Which tissue, a non-negative integer.

    Raises
    ------
    ValueError
        The size or µm/px is outside of these limits.
    """
    _check(width_px, height_px, mpp, seed)
    streams = iter(np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(8))
    anatomy = plan_anatomy(next(streams), width_px * mpp, height_px * mpp)
    ground = survey(next(streams), anatomy)
    nuclei = place_nuclei(next(streams), anatomy, ground.angle_at)
    epithelial_um = nuclei.centers_um[nuclei.kinds == EPITHELIAL]
    stains = paint(next(streams), anatomy, ground, epithelial_um)

    shape = (height_px, width_px)
    density = _density(next(streams), stains, shape, mpp)
    rng = next(streams)
    red_um = _red_cells(rng, anatomy)
    for patch in red_cell_patches(rng, red_um, shape, mpp, RED_CELL):
        _set(density, patch)
    for patch in nucleus_patches(next(streams), nuclei, shape, mpp, HEMATOXYLIN, EOSIN):
        _set(density, patch)
    rng = next(streams)
    _ink(rng, density, anatomy.pen, mpp)
    _defocus(density, anatomy.blur, mpp)
    rgb = _exposed(rng, density, mpp)
    regions = {
        "tissue": anatomy.tissue,
        "glands": shapely.union_all([g.outline_um for g in anatomy.glands]),
        "blur": anatomy.blur,
        "pen": anatomy.pen,
    }
    return Phantom(
        rgb, float(mpp), nuclei.centers_um, nuclei.kinds, nuclei.radii_um, MappingProxyType(regions)
    )


def _check(width_px: int, height_px: int, mpp: float, seed: int) -> None:
    if not MPP_RANGE[0] <= mpp <= MPP_RANGE[1]:
        raise ValueError(f"A phantom needs {MPP_RANGE[0]} to {MPP_RANGE[1]} µm/px, but got {mpp}.")
    if any(n != int(n) or n * mpp < MIN_SIDE_UM for n in (width_px, height_px)):
        raise ValueError(
            f"A phantom needs at least {math.ceil(MIN_SIDE_UM / mpp)} whole pixels a side at {mpp} "
            f"µm/px, but got {width_px} x {height_px}."
        )
    if width_px * height_px > MAX_PIXELS:
        raise ValueError(
            f"A phantom has at most {MAX_PIXELS} pixels, but got {width_px} x {height_px}."
        )
    if seed < 0:
        raise ValueError(f"A seed is a non-negative integer, but got {seed}.")


def _density(
    rng: np.random.Generator, stains: tuple[Field, Field], shape: tuple[int, int], mpp: float
) -> Field:
    """Optical density (3, Y, X) of the background, with the grain that 1 µm cannot hold."""
    hematoxylin, eosin = (resampled(s, shape, mpp / STEP_UM) for s in stains)
    grain = 1 + np.float32(0.09) * smooth_noise(rng, shape, max(0.7 / mpp, 1.0))
    hematoxylin *= grain
    eosin *= grain
    density = np.empty((3, *shape), np.float32)
    for start in range(0, shape[0], BAND_ROWS):
        band = slice(start, start + BAND_ROWS)
        amounts = np.stack([hematoxylin[band], eosin[band]])
        density[:, band] = np.einsum("sc,syx->cyx", np.stack([HEMATOXYLIN, EOSIN]), amounts)
    return density


def _set(density: Field, patch: Patch) -> None:
    window = density[:, patch.rows, patch.columns]
    window += patch.alpha * (patch.density.transpose(2, 0, 1) - window)


def _red_cells(rng: np.random.Generator, anatomy: Anatomy) -> npt.NDArray[np.float64]:
    """Centres of red cells inside vessels and of some that leaked out beside them, (n, 2) µm."""
    clouds = [np.zeros((0, 2))]
    for vessel in anatomy.vessels:
        room = vessel.lumen_um.buffer(-2.4)
        leaked = rng.normal((vessel.x_um, vessel.y_um), 1.3 * vessel.long_um, (4, 2))
        tries = rng.uniform(-1, 1, (60, 2)) * vessel.long_um + (vessel.x_um, vessel.y_um)
        tries = tries[shapely.contains_xy(room, tries[:, 0], tries[:, 1])]
        away = ~shapely.contains_xy(vessel.lumen_um.buffer(5), leaked[:, 0], leaked[:, 1])
        clouds += [tries, leaked[away & (rng.random() < 0.4)]]
    points = np.concatenate(clouds)
    keep = np.ones(len(points), bool)
    for earlier, later in sorted(cKDTree(points).query_pairs(5.2)) if len(points) else []:
        keep[later] &= not keep[earlier]
    return points[keep]


def _ink(rng: np.random.Generator, density: Field, pen: shapely.Geometry, mpp: float) -> None:
    """Adds the pen's blue-green to the density, denser at the rim of the stroke, where it dried."""
    rows, columns, depth_um = _depth(pen, (density.shape[1], density.shape[2]), mpp)
    shape = (depth_um.shape[0], depth_um.shape[1])
    streak = (
        1 + 0.16 * smooth_noise(rng, shape, 24 / mpp) + 0.05 * smooth_noise(rng, shape, 3 / mpp)
    )
    rim = 1 + 0.5 * np.exp(-((depth_um / 4) ** 2))
    amount = 0.62 * ramp(depth_um, -1.0, 2.0) * np.clip(streak, 0.3, 2) * rim
    density[:, rows, columns] += amount * PEN[:, None, None]


def _defocus(density: Field, blur: shapely.Geometry, mpp: float) -> None:
    """Puts a region out of focus: its light, not its density, is blurred; in place."""
    rows, columns, depth_um = _depth(blur, (density.shape[1], density.shape[2]), mpp)
    blend = ramp(depth_um, 0.0, 14.0)
    for layer in density[:, rows, columns]:
        light = np.exp(layer * LN_TRANSMITTED)
        light += blend * (ndi.gaussian_filter(light, DEFOCUS_UM / mpp, truncate=3) - light)
        layer[:] = np.log(light) / LN_TRANSMITTED


def _exposed(rng: np.random.Generator, density: Field, mpp: float) -> Rgb:
    """What the camera records of a density (3, Y, X): uint8 (Y, X, 3)."""
    height, width = density.shape[1:]
    sigma_px = OPTICS_UM / mpp
    halo = math.ceil(3 * sigma_px) + 1
    rgb = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, BAND_ROWS):
        first = max(start - halo, 0)
        for channel, glass in enumerate(GLASS):
            light = np.exp(density[channel, first : start + BAND_ROWS + halo] * LN_TRANSMITTED)
            light *= np.float32(glass)
            light = ndi.gaussian_filter(light, sigma_px, truncate=3)[start - first :][:BAND_ROWS]
            light += np.float32(NOISE_COUNTS) * rng.standard_normal(light.shape, dtype=np.float32)
            rgb[start : start + BAND_ROWS, :, channel] = np.clip(np.rint(light), 0, 255)
    return rgb


def _depth(
    shape_um: shapely.Geometry, shape: tuple[int, int], mpp: float
) -> tuple[slice, slice, Field]:
    """Rows and columns around a region, and how deep (µm) each pixel there lies inside it."""
    x0, y0, x1, y1 = shape_um.buffer(3 * DEFOCUS_UM).bounds
    r0, c0 = max(int(y0 / mpp), 0), max(int(x0 / mpp), 0)
    r1, c1 = min(math.ceil(y1 / mpp), shape[0]), min(math.ceil(x1 / mpp), shape[1])
    local = shapely.transform(shape_um, lambda xy: xy - np.array([c0, r0]) * mpp)
    depth_um = signed_distance_px(inside_mask(local, (r1 - r0, c1 - c0), mpp)) * np.float32(mpp)
    return slice(r0, r1), slice(c0, c1), depth_um

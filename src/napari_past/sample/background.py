"""All that lies between the nuclei, as amounts of haematoxylin and eosin on a grid of 1 µm.

The grid is independent of the phantom's µm/px, so that one seed gives one piece of tissue at every
resolution. Amounts are optical densities along a unit stain vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import shapely
from scipy.spatial import cKDTree

from napari_past.sample.anatomy import Anatomy
from napari_past.sample.fibres import COARSE_STEP, fibre_angles, streaks
from napari_past.sample.raster import inside_mask, signed_distance_px
from napari_past.sample.texture import Field, ramp, resampled, smooth_noise

STEP_UM = 1.0


@dataclass(frozen=True)
class Ground:
    """Distances that the textures follow; each (Y, X) in µm, `tissue`-like ones positive inside."""

    into_tissue_um: Field
    """Negative on glass."""
    into_gland_um: Field
    """Depth below the base of the epithelium; negative in stroma."""
    epithelium_um: Field
    """Height of the epithelium of the gland that a pixel lies in, 0 in stroma."""
    fibre_angle: Field
    """On a grid `COARSE_STEP` times coarser."""

    @property
    def shape(self) -> tuple[int, int]:
        return (self.into_tissue_um.shape[0], self.into_tissue_um.shape[1])

    def angle_at(self, points_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Fibre direction (n,) in radians at points (n, 2), (x, y) in µm."""
        index = (points_um / (STEP_UM * COARSE_STEP)).astype(np.int64)
        height, width = self.fibre_angle.shape
        rows, columns = index[:, 1].clip(0, height - 1), index[:, 0].clip(0, width - 1)
        return self.fibre_angle[rows, columns].astype(np.float64)


def survey(rng: np.random.Generator, anatomy: Anatomy) -> Ground:
    """Distances from the outlines of the anatomy, and the fibres that follow them."""
    shape = (
        math.ceil(anatomy.height_um / STEP_UM),
        math.ceil(anatomy.width_um / STEP_UM),
    )
    coarse_um = STEP_UM * COARSE_STEP
    coarse_shape = (-(-shape[0] // COARSE_STEP), -(-shape[1] // COARSE_STEP))
    tissue = inside_mask(anatomy.tissue, coarse_shape, coarse_um)
    # Outside of the frame counts as tissue where tissue runs over the border.
    into_tissue = coarse_um * signed_distance_px(np.pad(tissue, 8, mode="edge"))[8:-8, 8:-8]
    inside = np.full(shape, -1e3, np.float32)
    height = np.zeros(shape, np.float32)
    for gland in anatomy.glands:
        x0, y0, x1, y1 = gland.outline_um.buffer(6).bounds
        r0, c0 = max(int(y0 / STEP_UM), 0), max(int(x0 / STEP_UM), 0)
        r1, c1 = min(int(y1 / STEP_UM) + 1, shape[0]), min(int(x1 / STEP_UM) + 1, shape[1])
        outline = shapely.transform(
            gland.outline_um, lambda xy, c0=c0, r0=r0: xy - np.array([c0, r0]) * STEP_UM
        )
        distance = signed_distance_px(inside_mask(outline, (r1 - r0, c1 - c0), STEP_UM)) * STEP_UM
        window = inside[r0:r1, c0:c1]
        np.maximum(window, ndi.gaussian_filter(distance, 0.8), out=window)
        height[r0:r1, c0:c1][distance > -2] = gland.epithelium_um
    glands = resampled(inside, coarse_shape, COARSE_STEP) > 0
    away = (coarse_um * ndi.distance_transform_edt(~glands)).astype(np.float32)
    angle = fibre_angles(rng, away, into_tissue, coarse_um)
    near = inside > -900
    inside = np.where(near, inside, -resampled(away, shape, 1 / COARSE_STEP))
    return Ground(resampled(into_tissue, shape, 1 / COARSE_STEP), inside, height, angle)


def paint(
    rng: np.random.Generator,
    anatomy: Anatomy,
    ground: Ground,
    epithelial_um: npt.NDArray[np.float64],
) -> tuple[Field, Field]:
    """Haematoxylin and eosin of everything but nuclei and red cells, each (Y, X) at 1 µm.

    `epithelial_um` are the centres of the epithelial nuclei (n, 2); cells meet half-way between.
    """
    bundles, fibrils = streaks(
        ground.fibre_angle,
        [
            (smooth_noise(rng, ground.shape, 2.0), 5),
            (rng.standard_normal(ground.shape, dtype=np.float32), 4),
        ],
        ground.shape,
    )
    hematoxylin, eosin = _stroma(rng, ground, bundles, fibrils)
    _foci(anatomy, hematoxylin, eosin)
    _epithelium(rng, ground, epithelial_um, hematoxylin, eosin)
    _vessels(anatomy, hematoxylin, eosin)
    # The edge frays along the fibres.
    edge = ground.into_tissue_um + 2.6 * bundles + 2.0 * smooth_noise(rng, ground.shape, 9)
    cover = ramp(edge, -1.5, 1.5)
    return hematoxylin * cover, eosin * cover


def _stroma(
    rng: np.random.Generator, ground: Ground, bundles: Field, fibrils: Field
) -> tuple[Field, Field]:
    """Pink collagen in wavy bundles with pale clefts, denser here and looser there."""
    looseness = smooth_noise(rng, ground.shape, 90)
    bundle = ramp(bundles - 0.25 * looseness, -1.1, 1.2)
    eosin = 0.16 + 0.20 * bundle + 0.035 * fibrils - 0.02 * looseness
    eosin *= 1 - 0.80 * ramp(bundles - 0.30 * looseness, -1.0, -1.7)
    hematoxylin = 0.035 + 0.035 * ramp(looseness, -0.5, 1.5) + 0.014 * fibrils
    # Epithelium shrinks away from its stroma in places: a pale seam along the base.
    seam = np.exp(-(((ground.into_gland_um + 2.0) / 1.3) ** 2))
    shrunk = ramp(smooth_noise(rng, ground.shape, 60), 0.2, 1.0)
    eosin *= 1 - 0.8 * seam * shrunk
    return np.maximum(hematoxylin, 0.01), np.maximum(eosin, 0.02)


def _epithelium(
    rng: np.random.Generator,
    ground: Ground,
    epithelial_um: npt.NDArray[np.float64],
    hematoxylin: Field,
    eosin: Field,
) -> None:
    """Purple-pink cytoplasm with cell borders, mucin towards the lumen, and the lumen; in place."""
    rows, columns = np.nonzero(ground.into_gland_um > -2)
    if len(rows) == 0 or len(epithelial_um) < 2:
        return

    def here(field: Field) -> Field:
        return field[rows, columns]

    depth = here(ground.into_gland_um)
    points = np.stack([columns + 0.5, rows + 0.5], axis=1) * STEP_UM
    distance, owner = cKDTree(epithelial_um).query(points, k=2)
    distance = distance.astype(np.float32)
    border = np.exp(-(((distance[:, 1] - distance[:, 0]) / 1.5) ** 2))
    tone = rng.standard_normal(len(epithelial_um), dtype=np.float32)[owner[:, 0]]
    mucinous = (rng.random(len(epithelial_um)) < 0.22)[owner[:, 0]]
    grain = here(smooth_noise(rng, ground.shape, 1.6))
    apex = here(ground.epithelium_um) + 1.3 * here(smooth_noise(rng, ground.shape, 7))
    apex += 1.2 * here(smooth_noise(rng, ground.shape, 22))

    cell_h = 0.155 + 0.028 * tone + 0.030 * grain + 0.05 * border
    cell_e = 0.215 + 0.030 * tone + 0.035 * grain + 0.07 * border
    apical = np.clip(1 - np.abs(apex - depth - 5.5) / 5.0, 0, 1) * mucinous
    apical *= np.clip((distance[:, 1] - distance[:, 0]) / 3, 0, 1)
    cell_h *= 1 - 0.45 * apical
    cell_e *= 1 - 0.70 * apical
    brush = np.exp(-(((apex - depth - 0.8) / 1.1) ** 2))
    cell_e += 0.10 * brush
    basement = np.exp(-(((depth + 0.3) / 0.9) ** 2))
    cell_e += 0.10 * basement

    wisps = np.abs(here(smooth_noise(rng, ground.shape, 9)) + 0.5 * grain)
    filled = ramp(here(smooth_noise(rng, ground.shape, 70)), -0.6, 1.0)
    strand = np.exp(-((wisps / 0.5) ** 2)) * ramp(
        here(smooth_noise(rng, ground.shape, 16)), -0.4, 1
    )
    mucin_h = 0.012 + filled * (0.030 + 0.07 * strand)
    mucin_e = 0.012 + filled * (0.025 + 0.09 * strand)

    lumen = ramp(depth - apex, -0.7, 0.9)
    inside = ramp(depth, -1.0, 0.6)
    for layer, cell, mucin in ((hematoxylin, cell_h, mucin_h), (eosin, cell_e, mucin_e)):
        value = np.maximum(cell, 0.03) * (1 - lumen) + mucin * lumen
        layer[rows, columns] += ((value - layer[rows, columns]) * inside).astype(np.float32)


def _foci(anatomy: Anatomy, hematoxylin: Field, eosin: Field) -> None:
    """Where lymphocytes crowd, collagen gives way to their thin bluish cytoplasm; in place."""
    for focus in anatomy.foci:
        window, u, v = _around(
            eosin.shape, focus.x_um, focus.y_um, focus.angle, 3.2 * focus.long_um
        )
        crowd = np.exp(-0.5 * ((u / focus.long_um) ** 2 + (v / focus.short_um) ** 2) / 1.2)
        eosin[window] *= 1 - 0.55 * crowd
        hematoxylin[window] += 0.075 * crowd


def _around(
    shape: tuple[int, ...], x_um: float, y_um: float, angle: float, reach_um: float
) -> tuple[tuple[slice, slice], Field, Field]:
    """The window around a point, and its pixels' (u, v) in µm from it, u along `angle`."""
    low, high = (
        [int(np.clip((c + d) / STEP_UM, 0, n)) for c, n in zip((y_um, x_um), shape, strict=True)]
        for d in (-reach_um, reach_um + STEP_UM)
    )
    window = (slice(low[0], high[0]), slice(low[1], high[1]))
    y = (np.arange(low[0], high[0], dtype=np.float32)[:, None] + 0.5) * STEP_UM - y_um
    x = (np.arange(low[1], high[1], dtype=np.float32) + 0.5) * STEP_UM - x_um
    return (
        window,
        x * math.cos(angle) + y * math.sin(angle),
        y * math.cos(angle) - x * math.sin(angle),
    )


def _vessels(anatomy: Anatomy, hematoxylin: Field, eosin: Field) -> None:
    """Empty lumina with a thin pink wall; in place."""
    for vessel in anatomy.vessels:
        window, u, v = _around(
            eosin.shape, vessel.x_um, vessel.y_um, vessel.angle, vessel.long_um + 8
        )
        outward = (np.hypot(u / vessel.long_um, v / vessel.short_um) - 1) * vessel.short_um
        wall = 0.30 * np.exp(-(((outward - 1.5) / 1.3) ** 2))
        lumen = ramp(outward, 0.6, -0.6)
        eosin[window] = (eosin[window] + wall) * (1 - lumen) + 0.015 * lumen
        hematoxylin[window] = hematoxylin[window] * (1 - lumen) + 0.01 * lumen

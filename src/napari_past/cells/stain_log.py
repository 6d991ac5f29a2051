"""The default detector: where edges in the haematoxylin channel agree on a centre.

Needs no weights and no download. Edges vote for centres (`radial_symmetry`), peaks of the votes get
an outline of rays (`outlines`), and what has no edge around it or lies inside of a stronger cell is
dropped.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_past.cells.outlines import RAYS, Rays, StarOutlines, parabola_top, star_outlines
from napari_past.cells.radial_symmetry import Field, Voting, centredness, gradient
from napari_past.cells.stains import estimate_stains, hematoxylin_od
from napari_past.cells.tissue_sample import tissue_sample
from napari_past.slide import Slide
from napari_past.types import FoundCells, Outlines, PixelGrid, Rect, Rgb, StainProfile

VERSION = 2
DARKEST = 0.8
"""Share of the scale beyond which darker is the same: ink and folds must not outshine nuclei."""
CORE = 0.7
"""A centre within this share of a stronger cell's radius is part of that cell."""
LONGEST_SHIFT_UM = 0.5
"""Outlines that run into a neighbour would drag the centre along."""


@dataclass(frozen=True)
class StainLogDetector:
    """Nuclei as centres of edges in the haematoxylin channel. Any 0.25–1 µm/px works.

    The defaults were chosen on three MoNuSeg training tiles (see ``benchmarks/detector.py``), by
    centroid F1; none of the tiles that report was looked at.
    """

    stains: StainProfile | None = None
    """Stain vectors of the slide; `fitted` fills them, else each block estimates its own."""
    threshold: float = 0.67
    """Least centredness."""
    separation_um: float = 2.0
    """Least distance between two peaks."""
    gamma: float = 0.85
    """Levels are amounts of stain to this power."""
    min_area_um2: float = 5.0
    max_area_um2: float = 200.0
    min_contrast: float = 0.08
    """Least difference of level between inside and outside of the outline."""
    min_support: float = 0.6
    """Least share of the outline with an edge."""
    voting: Voting = field(default_factory=Voting)
    rays: Rays = field(default_factory=Rays)
    mpp: float = 0.5
    name: str = "stain-log"

    @property
    def halo_um(self) -> float:
        """Centredness of a peak's neighbours, for a peak whose outline reaches the nucleus."""
        reach_um = self.voting.reach_um + self.separation_um
        return float(np.ceil(reach_um + self.rays.longest_um + LONGEST_SHIFT_UM))

    def identity(self) -> str:
        fields = dataclasses.asdict(self)
        return f"{self.name} v{VERSION} {sorted(fields.items())}"

    def fitted(self, slide: Slide) -> StainLogDetector:
        """With the stain vectors of the slide, from blocks spread evenly over its tissue."""
        sample = tissue_sample(slide, self.mpp)
        return dataclasses.replace(self, stains=estimate_stains(sample, slide.background))

    def narrowed(self, rect: Rect) -> StainLogDetector:
        """Itself: it looks at pixels alone."""
        return self

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        profile = self.stains or estimate_stains(rgb, _brightest(rgb))
        level = _stain_level(rgb, profile, self.gamma)
        slopes = gradient(level, grid.mpp, self.voting.edge_um)
        side = self.voting.bin_px(grid.mpp)
        # The voting grid is anchored to slide space, so that every block sees the same one.
        phase = round(grid.y0_um / grid.mpp) % side, round(grid.x0_um / grid.mpp) % side
        score = centredness(level, slopes, grid.mpp, phase, self.voting)
        pixels, shifts, strength = _peaks(
            score, self.threshold, self.separation_um / (side * grid.mpp), side, phase
        )
        if len(pixels) == 0:
            return FoundCells.empty()
        centers_px = pixels + shifts
        stars = star_outlines(level, slopes, pixels, shifts, grid.mpp, self.rays)
        areas_um2 = stars.areas_px * grid.mpp**2
        keep = (areas_um2 >= self.min_area_um2) & (areas_um2 <= self.max_area_um2)
        keep &= (stars.contrast >= self.min_contrast) & (stars.support >= self.min_support)
        chosen = np.flatnonzero(keep)
        chosen = chosen[_alone(centers_px[chosen], strength[chosen], stars.radii_px[chosen])]
        return _as_cells(centers_px[chosen], stars.take(chosen), grid)


def _stain_level(rgb: Rgb, profile: StainProfile, gamma: float) -> Field:
    level = np.minimum(hematoxylin_od(rgb, profile) / profile.hematoxylin_scale, DARKEST)
    return np.asarray(level**gamma, np.float32)


def _peaks(
    score: Field, threshold: float, separation_px: float, side: int, phase: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Maxima of `score`: whole pixels and the rest, (n, 2) each, (y, x), and their scores (n,)."""
    highest = ndimage.maximum_filter(score, footprint=_disc(separation_px))
    y, x = np.nonzero((score == highest) & (score > threshold))
    strength = score[y, x]
    padded = np.pad(score, 1, mode="edge")
    shift = np.stack(
        [
            parabola_top(padded[y, x + 1], strength, padded[y + 2, x + 1]),
            parabola_top(padded[y + 1, x], strength, padded[y + 1, x + 2]),
        ],
        axis=1,
    )
    pixels = np.stack([y, x], axis=1) * side - np.array(phase)
    rest = np.asarray(shift * side + (side - 1) / 2, np.float64)
    return pixels.astype(np.intp), rest, strength.astype(np.float64)


def _disc(radius_px: float) -> npt.NDArray[np.bool_]:
    """Filled disc of at least one pixel's radius."""
    r = max(1, round(radius_px))
    offset = np.arange(-r, r + 1)
    return np.asarray(np.hypot(offset[:, None], offset) <= r)


def _alone(
    centers_px: npt.NDArray[np.float64],
    strength: npt.NDArray[np.float64],
    radii_px: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Whether each centre lies outside of every stronger cell's core, (n,).

    Of equals the first in reading order stays. A cell that gives way still makes others give way:
    chains of decisions would have no end within a halo.
    """
    alone = np.ones(len(centers_px), bool)
    pairs = cKDTree(centers_px).query_pairs(float(radii_px.max(initial=0)), output_type="ndarray")
    strong, weak = np.where(
        strength[pairs[:, :1]] >= strength[pairs[:, 1:]], pairs, pairs[:, ::-1]
    ).T
    away = centers_px[weak] - centers_px[strong]
    ray = np.rint(np.arctan2(away[:, 0], away[:, 1]) * (RAYS / (2 * np.pi))).astype(np.intp) % RAYS
    alone[weak[np.hypot(*away.T) < CORE * radii_px[strong, ray]]] = False
    return alone


def _as_cells(
    centers_px: npt.NDArray[np.float64], stars: StarOutlines, grid: PixelGrid
) -> FoundCells:
    """Cells with their outlines; the centre is the outline's centroid, but stays near the peak."""
    shift = stars.centroids_px
    length = np.maximum(np.hypot(*shift.T), 1e-9) * grid.mpp
    centers = centers_px + shift * np.minimum(1.0, LONGEST_SHIFT_UM / length)[:, None]
    vertices = stars.vertices_px + centers_px[:, None]
    offsets = np.arange(len(centers) + 1, dtype=np.int64) * RAYS
    outlines = Outlines(grid.to_um(vertices.reshape(-1, 2)).astype(np.float32), offsets)
    areas = (stars.areas_px * grid.mpp**2).astype(np.float32)
    return FoundCells(grid.to_um(centers), outlines, areas)


def _brightest(rgb: Rgb) -> tuple[float, float, float]:
    """Background of a picture without a slide: its 99.5th percentile, at least light grey."""
    r, g, b = np.percentile(rgb.reshape(-1, 3)[:: max(1, rgb.size // 300_000)], 99.5, axis=0)
    return (max(float(r), 200.0), max(float(g), 200.0), max(float(b), 200.0))

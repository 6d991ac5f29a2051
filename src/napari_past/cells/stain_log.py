"""The default detector: blobs of haematoxylin, found by scale-space and cut out by watershed.

Needs no weights and no download. Lindeberg 1998 (IJCV 30:79) for blobs as extrema of the
scale-normalised Laplacian of Gaussian; Al-Kofahi et al. 2010 (IEEE TBME 57:841) for nuclei.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.segmentation import watershed

from napari_past.cells.outlines import label_outlines
from napari_past.cells.stains import estimate_stains, hematoxylin_od
from napari_past.errors import DamagedSlide
from napari_past.slide import Slide
from napari_past.types import FoundCells, Outlines, PixelGrid, Rect, Rgb, StainProfile

VERSION = 1
SAMPLE_BLOCKS = 12
SAMPLE_BLOCK_PX = 384
SATURATED = 0.8  # of the scale: as dark is nucleus whatever its curvature


@dataclass(frozen=True)
class StainLogDetector:
    """Nuclei as blobs in the haematoxylin channel. Lengths are in µm, so any 0.25–1 µm/px works.

    The defaults were chosen on three MoNuSeg training tiles (see ``benchmarks/detector.py``), by
    centroid F1; none of the tiles that report was looked at.
    """

    stains: StainProfile | None = None
    """Stain vectors of the slide; `fitted` fills them, else each block estimates its own."""
    sigma_um: float = 2.2
    """Scale of the blobs: a disc of radius √2·sigma answers most."""
    threshold: float = 0.10
    """Least blob response, as a share of the slide's 99th percentile of haematoxylin."""
    edge_um: float = 1.4
    """Scale of the Laplacian whose zero crossing is the edge of a nucleus."""
    separation_um: float = 3.0
    """Least distance between two nuclei."""
    reach_um: float = 8.0
    """A nucleus never extends further from its peak."""
    min_area_um2: float = 9.0
    max_area_um2: float = 400.0
    min_contrast: float = 0.12
    """Least difference of haematoxylin between inside and the 2 µm around, same share."""
    mpp: float = 0.5
    name: str = "stain-log"

    @property
    def halo_um(self) -> float:
        """Smoothing (4 sigma) + two watershed reaches + closing and the ring around a nucleus."""
        return float(np.ceil(4 * self.sigma_um + 2 * self.reach_um + 5.0))

    def identity(self) -> str:
        fields = dataclasses.asdict(self)
        return f"{self.name} v{VERSION} {sorted(fields.items())}"

    def fitted(self, slide: Slide) -> StainLogDetector:
        """With the stain vectors of the slide, from blocks spread evenly over its tissue."""
        sample = _tissue_sample(slide, self.mpp)
        return dataclasses.replace(self, stains=estimate_stains(sample, slide.background))

    def narrowed(self, rect: Rect) -> StainLogDetector:
        """Itself: it looks at pixels alone."""
        return self

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        profile = self.stains or estimate_stains(rgb, _brightest(rgb))
        hematoxylin = hematoxylin_od(rgb, profile)
        # Over-stained nuclei and ink must not outshine the rest: amounts end at the scale.
        level = np.minimum(hematoxylin / profile.hematoxylin_scale, 1.0)
        labels = self._segment(level, grid.mpp)
        return _measured(labels, level, grid, self)

    def _segment(self, level: npt.NDArray[np.float32], mpp: float) -> npt.NDArray[np.int32]:
        sigma = self.sigma_um / mpp
        blobs = -(sigma**2) * ndimage.gaussian_laplace(level, sigma, truncate=4.0)
        # A plateau of equal maxima is one peak: the row-major first pixel of it would depend on the
        # block, the label of the plateau does not.
        peaks, count = ndimage.label(
            (blobs == ndimage.maximum_filter(blobs, footprint=_disc(self.separation_um / mpp)))
            & (blobs > self.threshold)
        )
        if count == 0:
            return np.zeros(level.shape, np.int32)
        inside = ndimage.gaussian_laplace(level, self.edge_um / mpp, truncate=4.0) < 0
        inside |= level > SATURATED
        reach = ndimage.distance_transform_edt(peaks == 0) <= self.reach_um / mpp
        # Pale chromatin leaves gaps in vesicular nuclei: close what is narrower than 2 µm.
        inside = ndimage.binary_closing(inside, _disc(1.0 / mpp)) & (blobs > 0) & reach
        inside |= peaks > 0
        return np.asarray(watershed(-blobs, peaks.astype(np.int32), mask=inside), np.int32)


def _disc(radius_px: float) -> npt.NDArray[np.bool_]:
    """Filled disc of at least one pixel's radius."""
    r = max(1, round(radius_px))
    offset = np.arange(-r, r + 1)
    return np.asarray(np.hypot(offset[:, None], offset) <= r)


def _measured(
    labels: npt.NDArray[np.int32],
    level: npt.NDArray[np.float32],
    grid: PixelGrid,
    detector: StainLogDetector,
) -> FoundCells:
    """Cells of a label image that are nuclei by their size and contrast."""
    n = int(labels.max(initial=0))
    flat = labels.ravel()
    count = np.bincount(flat, minlength=n + 1)
    area = count * grid.mpp**2
    inside = np.bincount(flat, weights=level.ravel(), minlength=n + 1) / np.maximum(count, 1)
    ring_px = max(1, round(2.0 / grid.mpp))
    size = 2 * ring_px + 1
    grown = ndimage.grey_dilation(labels, size=(size, size))
    ring = np.where((labels == 0) & (grown > 0), grown, 0).ravel()
    ring_count = np.bincount(ring, minlength=n + 1)
    outside = np.bincount(ring, weights=level.ravel(), minlength=n + 1) / np.maximum(ring_count, 1)
    contrast = np.where(ring_count > 0, inside - outside, inside)
    keep = (area >= detector.min_area_um2) & (area <= detector.max_area_um2)
    keep &= contrast >= detector.min_contrast
    keep[0] = False
    chosen = np.flatnonzero(keep)
    if len(chosen) == 0:
        return FoundCells.empty()
    rows, columns = np.arange(labels.shape[0])[:, None], np.arange(labels.shape[1])[None]
    y = np.bincount(flat, weights=np.broadcast_to(rows, labels.shape).ravel(), minlength=n + 1)
    x = np.bincount(flat, weights=np.broadcast_to(columns, labels.shape).ravel(), minlength=n + 1)
    centers_px = np.stack([y, x], axis=1)[chosen] / count[chosen, None]
    vertices_px, offsets = label_outlines(labels, chosen)
    outlines = Outlines(grid.to_um(vertices_px).astype(np.float32), offsets)
    return FoundCells(grid.to_um(centers_px), outlines, area[chosen].astype(np.float32))


def _tissue_sample(slide: Slide, mpp: float) -> Rgb:
    """Blocks of tissue, concatenated: (n, 384, 3). Evenly spread, the same for the same slide.

    Blocks that cannot be decoded are passed over; their tiles will say so.
    """
    mask = slide.tissue_mask()
    rows, columns = np.nonzero(mask.mask)
    nothing = np.zeros((0, SAMPLE_BLOCK_PX, 3), np.uint8)
    if len(rows) == 0:
        return nothing
    chosen = np.linspace(0, len(rows) - 1, SAMPLE_BLOCKS + 2).astype(int)[1:-1]
    blocks = []
    for row, column in zip(rows[chosen], columns[chosen], strict=True):
        x_px = round((column + 0.5) * mask.mpp / mpp) - SAMPLE_BLOCK_PX // 2
        y_px = round((row + 0.5) * mask.mpp / mpp) - SAMPLE_BLOCK_PX // 2
        with suppress(DamagedSlide):
            blocks.append(slide.read_grid(x_px, y_px, SAMPLE_BLOCK_PX, SAMPLE_BLOCK_PX, mpp))
    return np.concatenate([nothing, *blocks])


def _brightest(rgb: Rgb) -> tuple[float, float, float]:
    """Background of a picture without a slide: its 99.5th percentile, at least light grey."""
    r, g, b = np.percentile(rgb.reshape(-1, 3)[:: max(1, rgb.size // 300_000)], 99.5, axis=0)
    return (max(float(r), 200.0), max(float(g), 200.0), max(float(b), 200.0))

"""Cells of a slide or picture, tile by tile, none lost, doubled or cut at a border."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from napari_past.cells.detector import Detector, get_detector
from napari_past.cells.given import GivenCells, owned
from napari_past.cells.ihc import IhcDetector
from napari_past.errors import RegionError
from napari_past.slide import Slide, slide_of_array
from napari_past.types import FoundCells, PixelGrid, Rect, Rgb, TileSpec

DEFAULT_DETECTOR = "stain-log"
TILE_UM = 256.0


def find_cells(
    image_or_slide: Rgb | Slide,
    mpp: float | None = None,
    region: Rect | tuple[float, float, float, float] | None = None,
    detector: str | Detector = DEFAULT_DETECTOR,
) -> FoundCells:
    """Nuclei of a slide, or of an array of pixels.

    Parameters
    ----------
    image_or_slide
        A `Slide`, or uint8 (Y, X, 3).
    mpp
        µm/px of an array, which cannot tell it; for a slide, give it to `open_slide`.
    region
        (x, y, width, height) in µm; None takes all tissue.
    detector
        A registered name or a detector.

    Returns
    -------
    FoundCells
        ``centers_um`` (n, 2) float64 (x, y) in slide space, outlines and areas, ordered by tile.

    Raises
    ------
    MissingPixelSize
        The size of a pixel is not known.
    UnsupportedPixels
        The array is not 8-bit RGB.
    RegionError
        The region is malformed or lies outside.
    UnknownDetector
    """
    slide = image_or_slide
    if not isinstance(slide, Slide):
        slide = slide_of_array(slide, mpp)
    elif mpp is not None and not math.isclose(mpp, slide.mpp or 0.0):
        slide = slide.with_mpp(mpp)
    chosen = get_detector(detector) if isinstance(detector, str) else detector
    area = area_within(slide, region)
    fitted = chosen.fitted(slide)
    tiles = tiles_to_search(slide, area, TILE_UM, fitted)
    parts = [cells_in(slide, tile.rect, fitted) for tile in tiles]
    cells = FoundCells.concatenate(parts)
    return cells.take(area.contains(cells.centers_um))


def area_within(slide: Slide, region: Rect | tuple[float, float, float, float] | None) -> Rect:
    """The part of the region that lies on the slide, or the whole slide.

    Raises
    ------
    RegionError
        The region is malformed or does not touch the slide.
    """
    bounds = slide.bounds
    if region is None:
        return bounds
    try:
        area = region if isinstance(region, Rect) else Rect(*(float(v) for v in region))
    except (TypeError, ValueError) as exc:
        raise RegionError(
            f"A region is four numbers, x, y, width and height in µm, but got {region!r}."
        ) from exc
    if not area.intersects(bounds):
        raise RegionError(
            f"The region x {area.x_um:g}, y {area.y_um:g}, {area.width_um:g} x {area.height_um:g} "
            f"µm lies outside of {slide.name}, which is {bounds.width_um:.0f} x "
            f"{bounds.height_um:.0f} µm from (0, 0); give a region in µm within it."
        )
    x0_um, y0_um = max(area.x_um, bounds.x_um), max(area.y_um, bounds.y_um)
    x1_um, y1_um = min(area.x1_um, bounds.x1_um), min(area.y1_um, bounds.y1_um)
    return Rect(x0_um, y0_um, x1_um - x0_um, y1_um - y0_um)


def tiles_to_search(
    slide: Slide, area: Rect, size_um: float, detector: Detector
) -> tuple[TileSpec, ...]:
    """The tiles of an area where cells can be: those with tissue, or with cells that were brought.

    A pathologist's cell counts wherever it lies, also where the tissue mask sees glass.
    """
    tiles = tiles_over(area, size_um)
    if isinstance(detector, GivenCells):
        wanted = detector.tiles_with_cells(size_um)
        return tuple(t for t in tiles if (t.column, t.row) in wanted)
    mask = slide.tissue_mask(isinstance(detector, IhcDetector))
    return tuple(t for t in tiles if mask.covers(t.rect))


def tiles_over(area: Rect, size_um: float) -> Iterator[TileSpec]:
    """The tiles of the global grid that share area with a rectangle, row by row."""
    first_row, first_column = math.floor(area.y_um / size_um), math.floor(area.x_um / size_um)
    for row in range(first_row, math.ceil(area.y1_um / size_um)):
        for column in range(first_column, math.ceil(area.x1_um / size_um)):
            yield TileSpec(column, row, size_um)


def read_block(slide: Slide, rect: Rect, mpp: float, halo_px: int) -> tuple[Rgb, PixelGrid]:
    """Pixels of a rectangle with a halo on the global grid at `mpp`, and where they lie."""
    x0_px, y0_px = math.floor(rect.x_um / mpp + 1e-6), math.floor(rect.y_um / mpp + 1e-6)
    x1_px, y1_px = math.ceil(rect.x1_um / mpp - 1e-6), math.ceil(rect.y1_um / mpp - 1e-6)
    x0_px, y0_px, x1_px, y1_px = (
        x0_px - halo_px, y0_px - halo_px, x1_px + halo_px, y1_px + halo_px,
    )  # fmt: skip
    rgb = slide.read_grid(x0_px, y0_px, x1_px - x0_px, y1_px - y0_px, mpp)
    return rgb, PixelGrid(x0_px * mpp, y0_px * mpp, mpp)


def cells_in(
    slide: Slide,
    rect: Rect,
    detector: Detector,
    block: tuple[Rgb, PixelGrid] | None = None,
) -> FoundCells:
    """The cells whose centre lies in a rectangle, with the halo that the detector needs.

    `block` saves the read where pixels at the detector's µm/px with halo enough are at hand.
    """
    halo_px = math.ceil(detector.halo_um / detector.mpp)
    if block is None:
        block = read_block(slide, rect, detector.mpp, halo_px)
    rgb, grid = trimmed(*block, rect, halo_px)
    cells = detector.find(rgb, grid)
    # A brought cell beyond the slide's edge belongs to no tissue.
    inside = owned(rect, cells.centers_um) & slide.bounds.contains(cells.centers_um)
    return cells.take(np.flatnonzero(inside))


def trimmed(rgb: Rgb, grid: PixelGrid, rect: Rect, halo_px: int) -> tuple[Rgb, PixelGrid]:
    """The part of a block that lies within `halo_px` of a rectangle; pixels cut by it are kept."""
    x0 = max(0, math.floor((rect.x_um - grid.x0_um) / grid.mpp + 1e-6) - halo_px)
    y0 = max(0, math.floor((rect.y_um - grid.y0_um) / grid.mpp + 1e-6) - halo_px)
    x1 = min(rgb.shape[1], math.ceil((rect.x1_um - grid.x0_um) / grid.mpp - 1e-6) + halo_px)
    y1 = min(rgb.shape[0], math.ceil((rect.y1_um - grid.y0_um) / grid.mpp - 1e-6) + halo_px)
    corner = PixelGrid(grid.x0_um + x0 * grid.mpp, grid.y0_um + y0 * grid.mpp, grid.mpp)
    return rgb[y0:y1, x0:x1], corner

"""A picture of a tissue microarray: the slide, small, with the names on its cores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_past.io import atomic_write
from napari_past.slide import Slide
from napari_past.tma import TmaCore, TmaGrid
from napari_past.types import PixelGrid, Rect

LONGER_SIDE_PX = 2400
MARGIN_UM = 500.0
INK = {"core": (30, 90, 200), "partial": (200, 110, 0), "missing": (120, 120, 120)}
PAPER = (255, 255, 255)
LEAST_TEXT_PX, MOST_TEXT_PX = 9, 28
TEXT_SHARE = 0.26
"""Height of a name in diameters: one of four letters then fits beside its neighbours'."""


def write_picture(slide: Slide, grid: TmaGrid, path: Path) -> None:
    """Write a PNG of the part of the slide that the grid covers, missing cores crossed out.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    area = _area(slide, grid)
    mpp = max(area.width_um, area.height_um) / LONGER_SIDE_PX
    picture = Image.fromarray(
        slide.picture(area.x_um, area.y_um, area.width_um, area.height_um, mpp)
    )
    place = PixelGrid(area.x_um, area.y_um, mpp)
    wide_px = grid.diameter_um / mpp
    size = int(np.clip(TEXT_SHARE * wide_px, LEAST_TEXT_PX, MOST_TEXT_PX))
    font = ImageFont.load_default(size=size)
    draw = ImageDraw.Draw(picture)
    for core in grid.cores:
        _draw(draw, core, place, mpp, font)
    with atomic_write(path) as unfinished:
        picture.save(unfinished, format="PNG")


def _area(slide: Slide, grid: TmaGrid) -> Rect:
    """The grid with a margin, as far as the slide goes."""
    wanted, bounds = grid.bounds.grown(MARGIN_UM), slide.bounds
    x0, y0 = max(wanted.x_um, 0.0), max(wanted.y_um, 0.0)
    x1, y1 = min(wanted.x1_um, bounds.x1_um), min(wanted.y1_um, bounds.y1_um)
    return Rect(x0, y0, x1 - x0, y1 - y0)


def _draw(
    draw: ImageDraw.ImageDraw, core: TmaCore, place: PixelGrid, mpp: float,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:  # fmt: skip
    ink = INK["missing" if core.is_missing else "partial" if core.is_partial else "core"]
    y, x = place.to_px(np.array(core.center_um))
    radius = core.diameter_um / 2 / mpp
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=ink, width=2)
    if core.is_missing:
        reach = 0.35 * radius
        draw.line([x - reach, y - reach, x + reach, y + reach], fill=ink, width=2)
        draw.line([x - reach, y + reach, x + reach, y - reach], fill=ink, width=2)
    # Within the disc at its top, where no neighbour is.
    place_px = (x, y - 0.62 * radius)
    draw.text(place_px, core.name, ink, font, anchor="mm", stroke_width=2, stroke_fill=PAPER)

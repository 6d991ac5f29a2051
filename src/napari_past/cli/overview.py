"""A picture of a result: H&E beside the cells, coloured by a gene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw, ImageFont

from napari_past.engine import Cells
from napari_past.io import atomic_write
from napari_past.model import Model
from napari_past.report.palette import colours
from napari_past.slide import Slide
from napari_past.types import RESEARCH_USE, FloatArray, PixelGrid, Rect, Region

PANEL_PX = 1200
"""Longer side of a panel."""
MARGIN_PX, TITLE_PX, TEXT_PX, BAR_PX = 24, 44, 20, 260
INK, PAPER = (30, 30, 30), (255, 255, 255)
TUMOUR_INK, IGNORED_INK = (200, 0, 0), (110, 110, 110)
"""As in the viewer and in QuPath."""
DIMMED = 0.3
"""Brightness that is left of the tissue under coloured cells."""

DRAWABLE = str.maketrans({"µ": "u", "–": "-", "×": "x", "…": "..."})
"""Pillow's own font lacks these, and no other font is everywhere."""

Colour = tuple[int, int, int]


def write_overview(
    slide: Slide, cells: Cells, gene: str, regions: Sequence[Region], path: Path
) -> None:
    """Write a PNG: the area of the plan as it is, and its cells coloured by a gene or marker.

    The colours run from the 2nd to the 98th percentile of the values; below stand their legend, the
    gene's reliability and the research-use sentence.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    area = cells.plan.area
    mpp = max(area.width_um, area.height_um) / PANEL_PX
    tissue = Image.fromarray(
        slide.picture(area.x_um, area.y_um, area.width_um, area.height_um, mpp)
    )
    grid = PixelGrid(area.x_um, area.y_um, mpp)
    values = cells.marker_values(gene)
    low, high = _range(values)
    stained = _stained(tissue, cells, colours(values, low, high), grid)
    for panel in (tissue, stained):
        _draw_regions(panel, regions, grid)
    _draw_scale_bar(tissue, area, mpp)

    width, height = tissue.size
    page_px = (2 * width + 3 * MARGIN_PX, height + TITLE_PX + 2 * MARGIN_PX + 90)
    page = Image.new("RGB", page_px, PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=TEXT_PX)
    right_px = width + 2 * MARGIN_PX
    page.paste(tissue, (MARGIN_PX, TITLE_PX))
    page.paste(stained, (right_px, TITLE_PX))
    resolved, model = cells.resolve(gene), cells.model
    draw.text((MARGIN_PX, 12), drawable(f"H&E · {slide.name}"), INK, font)
    draw.text((right_px, 12), drawable(f"{resolved.label} · {model.name} (predicted)"), INK, font)

    y = height + TITLE_PX + MARGIN_PX
    bar = Image.fromarray(colours(np.linspace(0, 1, BAR_PX), 0, 1)[None].repeat(20, axis=0))
    page.paste(bar, (right_px, y))
    unit = model.expression_unit
    draw.text(
        (right_px + BAR_PX + 14, y - 2), drawable(f"{low:.2f} to {high:.2f} · {unit}"), INK, font
    )
    evidence = "; ".join(f"{g}: {model.reliability(g).label}" for g in resolved.symbols)
    draw.text((right_px, y + 30), drawable(f"Reliability · {evidence}"), INK, font)
    flagged = int((cells.unlike_training > 1).sum())
    known = isinstance(model, Model) and model.card.unlike_training_limit is not None
    told = f"{flagged} of them" if known else "not known how many of them"
    unlike = f"{len(cells)} cells, {told} unlike the training tissue"
    draw.text((MARGIN_PX, y + 30), drawable(unlike), INK, font)
    _draw_key(draw, font, regions, y)
    draw.text((MARGIN_PX, y + 64), drawable(RESEARCH_USE), INK, font)
    with atomic_write(path) as unfinished:
        page.save(unfinished, format="PNG")


def drawable(text: str) -> str:
    """`text` in characters that Pillow's own font has."""
    plain = text.translate(DRAWABLE)
    return "".join(c if c.isascii() or c == "·" else "?" for c in plain)


def _range(values: FloatArray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = np.quantile(values, (0.02, 0.98))
    return float(low), float(high)


def _stained(
    tissue: Image.Image, cells: Cells, rgb: npt.NDArray[np.uint8], grid: PixelGrid
) -> Image.Image:
    """The cells' outlines, filled, over grey tissue; drawn at twice the size and shrunk."""
    width, height = tissue.size
    dark = tissue.convert("L").point(lambda value: value * DIMMED).convert("RGB")
    large = dark.resize((2 * width, 2 * height))
    draw = ImageDraw.Draw(large)
    fine = PixelGrid(grid.x0_um, grid.y0_um, grid.mpp / 2)
    for i, colour in enumerate(rgb.tolist()):
        draw.polygon(_points(cells.found.outlines[i], fine), fill=tuple(colour))
    return large.resize((width, height), Image.Resampling.LANCZOS)


def _points(vertices_um: FloatArray, grid: PixelGrid) -> list[tuple[float, float]]:
    return [(x, y) for y, x in grid.to_px(vertices_um).tolist()]


def _draw_regions(panel: Image.Image, regions: Sequence[Region], grid: PixelGrid) -> None:
    draw = ImageDraw.Draw(panel)
    for region in regions:
        for part in shapely.get_parts(region.polygon_um):
            for ring in (part.exterior, *part.interiors):
                points = _points(np.asarray(ring.coords), grid)
                draw.line(points, fill=_ink(region), width=3, joint="curve")


def _ink(region: Region) -> Colour:
    return IGNORED_INK if region.ignored else TUMOUR_INK


def _draw_key(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    regions: Sequence[Region], y: int,
) -> None:  # fmt: skip
    x = float(MARGIN_PX)
    for region in regions:
        draw.line([(x, y + 10), (x + 30, y + 10)], fill=_ink(region), width=3)
        text = f"{region.name} ({region.role})"
        draw.text((x + 38, y - 2), drawable(text), INK, font)
        x += 38 + draw.textlength(drawable(text), font) + 30


def _draw_scale_bar(panel: Image.Image, area: Rect, mpp: float) -> None:
    """A bar of a round length under a fifth of the width, on white to show on any tissue."""
    length_um = _round_length(area.width_um / 5)
    x1, y1 = panel.width - 24, panel.height - 24
    x0 = x1 - length_um / mpp
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(size=TEXT_PX)
    draw.rectangle([x0 - 12, y1 - 44, x1 + 12, y1 + 12], fill=PAPER)
    draw.rectangle([x0, y1 - 6, x1, y1], fill=INK)
    draw.text(((x0 + x1) / 2, y1 - 12), drawable(f"{length_um:g} µm"), INK, font, anchor="ms")


def _round_length(length_um: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length_um))
    return max(step * power for step in (1, 2, 5) if step * power <= length_um)

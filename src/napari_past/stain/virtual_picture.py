"""A view of the virtual stain as a picture that stands alone: words, scale bar, legend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_past.stain.virtual_mark import INK, PAPER, PREDICTED, Font, burn_in, wrapped
from napari_past.types import Rgb

LEAST_WIDTH_PX = 360
"""A narrower picture gets white to its right, so that the words below stay legible."""
LETTERS_SHARE, LEAST_LETTERS_PX, MOST_LETTERS_PX = 0.016, 12, 30
BAR_SHARE = 0.22
"""The scale bar is at most this part of the picture's width."""
_ROUND = (1.0, 2.0, 5.0)

Swatch = tuple[str, tuple[int, int, int]]
"""A name and its colour."""


def captioned(
    rgb: Rgb, mpp: float, subject: str, swatches: Sequence[Swatch], sentences: Sequence[str]
) -> Rgb:
    """The picture with its words burnt in, and a caption below: scale bar, colours, sentences.

    Parameters
    ----------
    rgb
        uint8 (Y, X, 3), as it is drawn.
    mpp
        Its µm/px.
    subject
        Gene and model, told beside "PREDICTED, NOT STAINED".
    swatches, sentences
        The legend.

    Raises
    ------
    CannotWrite
        The picture is too small for legible words.
    """
    marked = burn_in(rgb, f"{PREDICTED} · {subject}")
    width = max(rgb.shape[1], LEAST_WIDTH_PX)
    size = min(max(round(width * LETTERS_SHARE), LEAST_LETTERS_PX), MOST_LETTERS_PX)
    font = ImageFont.load_default(size)
    step, margin = round(size * 1.5), size
    words = [line for sentence in sentences for line in wrapped(sentence, font, width - 2 * margin)]
    rows = _rows_of_swatches(swatches, font, width - 2 * margin, size)
    height = margin * 2 + round(step * 1.8) + step * (len(rows) + len(words))
    caption = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(caption)
    _scale_bar(draw, margin, margin, rgb.shape[1], mpp, font, size)
    y = margin + round(step * 1.8)
    for row in rows:
        x = margin
        for name, colour in row:
            draw.rectangle((x, y, x + size, y + size), fill=colour, outline=(120, 120, 120))
            draw.text((x + size * 1.4, y), name, font=font, fill=INK)
            x += _swatch_width(name, font, size)
        y += step
    for line in words:
        draw.text((margin, y), line, font=font, fill=INK)
        y += step
    out = np.full((rgb.shape[0] + height, width, 3), 255, np.uint8)
    out[: rgb.shape[0], : rgb.shape[1]] = marked
    out[rgb.shape[0] :] = np.asarray(caption)
    return out


def bar_length_um(width_um: float) -> float:
    """The longest round length (1, 2 or 5 times a power of ten) that fits into a width."""
    power = 10.0 ** math.floor(math.log10(width_um))
    return max(number * power for number in _ROUND if number * power <= width_um)


def _scale_bar(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    width_px: int,
    mpp: float,
    font: Font,
    size: int,
) -> None:
    length_um = bar_length_um(width_px * BAR_SHARE * mpp)
    length_px = length_um / mpp
    # The font that comes with Pillow has no Greek letters.
    label = f"{length_um:g} um" if length_um < 1000 else f"{length_um / 1000:g} mm"
    draw.rectangle((x, y + size // 2, x + length_px, y + size // 2 + max(3, size // 4)), fill=INK)
    draw.text((x + length_px + size * 0.6, y + size * 0.1), label, font=font, fill=INK)


def _swatch_width(name: str, font: Font, size: int) -> float:
    return size * 2.6 + font.getlength(name)


def _rows_of_swatches(
    swatches: Sequence[Swatch],
    font: Font,
    room: float,
    size: int,
) -> list[list[Swatch]]:
    rows: list[list[Swatch]] = []
    used = 0.0
    for swatch in swatches:
        needed = _swatch_width(swatch[0], font, size)
        if not rows or used + needed > room:
            rows.append([])
            used = 0.0
        rows[-1].append(swatch)
        used += needed
    return rows

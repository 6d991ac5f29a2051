"""Words that stay in a picture, so that no export of a prediction passes for a stain."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from napari_past.errors import CannotWrite
from napari_past.types import Rgb

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

PREDICTED = "PREDICTED, NOT STAINED"

LARGEST_SHARE = 0.045
"""Height of the letters in the picture's shorter side, …"""
WIDEST_SHARE = 0.9
"""… unless the line would be wider than this part of the picture."""
LEAST_PX = 10
"""Letters never get smaller; in a tiny picture the words take several lines."""
INK, PAPER = (20, 20, 20), (255, 255, 255)
PAPER_OPACITY = 0.82
REPEAT_PX, REPEATED_LETTERS_PX = (200, 420), 22
"""Height and width of the field that repeated words have to themselves, and of their letters."""
REPEATED_OPACITY = 0.75


def burn_in(rgb: Rgb, text: str = PREDICTED) -> Rgb:
    """A copy of a picture with `text` written into its lower end, dark on a light strip.

    Parameters
    ----------
    rgb
        uint8 (Y, X, 3). Letters grow with it.
    text
        Words in one line; where the picture is narrow, in several.

    Raises
    ------
    CannotWrite
        The picture is too small for a legible word.
    """
    height, width = rgb.shape[:2]
    size = max(LEAST_PX, round(min(height, width) * LARGEST_SHARE))
    font = ImageFont.load_default(size)
    room = width * WIDEST_SHARE
    if font.getlength(text) > room:
        size = max(LEAST_PX, int(size * room / font.getlength(text)))
        font = ImageFont.load_default(size)
    lines = wrapped(text, font, room)
    step = round(size * 1.3)
    strip = step * len(lines) + max(2, size // 3)
    if strip > height or max(font.getlength(line) for line in lines) > width:
        raise CannotWrite(
            f"A picture of {width} x {height} px is too small for the words {text!r}; "
            "export a larger one."
        )
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    band = picture.crop((0, height - strip, width, height))
    band = Image.blend(band, Image.new("RGB", band.size, PAPER), PAPER_OPACITY)
    draw = ImageDraw.Draw(band)
    for k, line in enumerate(lines):
        middle = (strip - step * len(lines)) / 2 + step * (k + 0.5)
        draw.text((width / 2, middle), line, font=font, fill=INK, anchor="mm")
    picture.paste(band, (0, height - strip))
    return np.asarray(picture)


def with_repeated_words(rgb: Rgb, row: int, column: int, text: str = PREDICTED) -> Rgb:
    """A copy of a picture with `text` written all over it, so that every part of it tells.

    Parameters
    ----------
    rgb
        uint8 (Y, X, 3).
    row, column
        Where its first pixel lies in the whole: the words of two parts fit together.
    """
    words = np.roll(_field_of_words(text), (-row, -column), axis=(0, 1))
    times = -(-rgb.shape[0] // REPEAT_PX[0]), -(-rgb.shape[1] // REPEAT_PX[1])
    share = np.tile(words, times)[: rgb.shape[0], : rgb.shape[1], None] * REPEATED_OPACITY
    return np.rint(rgb * (1 - share) + np.array(INK) * share).astype(np.uint8)


@lru_cache(maxsize=4)
def _field_of_words(text: str) -> npt.NDArray[np.float32]:
    """How much ink each pixel of one field of repeated words has, 0 to 1."""
    height, width = REPEAT_PX
    size = REPEATED_LETTERS_PX
    while ImageFont.load_default(size).getlength(text) > WIDEST_SHARE * width and size > LEAST_PX:
        size -= 1
    picture = Image.new("L", (width, height))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size)
    draw.text((width / 2, height / 2), text, font=font, fill=255, anchor="mm")
    return np.asarray(picture, np.float32) / np.float32(255)


def wrapped(text: str, font: Font, room: float) -> list[str]:
    """The words in as few lines as fit into a width in pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines

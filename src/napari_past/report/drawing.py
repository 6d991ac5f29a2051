"""Pictures and plots as few kinds of shapes, in millimetres, so that both forms draw the same."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_past.stain import CLASS_COLOURS
from napari_past.types import Rgb

Colour = tuple[int, int, int]
"""Red, green, blue, 0–255."""
Points = tuple[tuple[float, float], ...]
"""(x, y) in mm from the upper left corner of the drawing, y downwards."""

INK, PAPER, GREY = (30, 30, 30), (255, 255, 255), (150, 150, 150)
NOT_COUNTED: Colour = (190, 190, 190)
JPEG_QUALITY = 88
PNG_MARK = b"\x89PNG"
"""How a PNG file begins."""
CLASS_SIZES = (1.0, 0.95, 1.25, 1.6)
"""Of the symbols of the classes, so that all cover about the same area."""


@dataclass(frozen=True)
class Raster:
    """Pixels, stretched over a box."""

    x: float
    y: float
    width: float
    height: float
    data: bytes
    """A JPEG or PNG file."""


@dataclass(frozen=True)
class Path:
    """A line, or, where it is filled, a closed shape."""

    points: Points
    ink: Colour | None = INK
    """None draws no line."""
    width: float = 0.2
    fill: Colour | None = None


@dataclass(frozen=True)
class Label:
    """Text on one line."""

    x: float
    y: float
    """Of the baseline."""
    text: str
    size: float = 2.5
    """Height of the letters in mm: 2.5 is 7 pt."""
    anchor: str = "start"
    """start, middle or end: which part of the text is at x."""
    ink: Colour = INK
    bold: bool = False


Shape = Raster | Path | Label


@dataclass(frozen=True)
class Drawing:
    """Shapes in order; later ones cover earlier ones."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    describes: str
    """What is seen, one sentence, for those who cannot see it."""


def box(x: float, y: float, width: float, height: float) -> Points:
    """The corners of a rectangle."""
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def jpeg(rgb: Rgb) -> bytes:
    """A JPEG file of pixels, uint8 (Y, X, 3), with full colour resolution."""
    stream = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    picture.save(stream, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()


def png(rgba: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of pixels, uint8 (Y, X, 3) or, with their opacity, (Y, X, 4)."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgba)).save(stream, format="PNG")
    return stream.getvalue()


def class_symbol(k: int, x: float, y: float, radius: float) -> Path:
    """The mark of class k, 0 to 3: disc, square, diamond, star, as in the viewer."""
    r = radius * CLASS_SIZES[k]
    match k:
        case 0:
            points = _around(x, y, [r] * 16)
        case 1:
            points = box(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r)
        case 2:
            points = _around(x, y, [r] * 4)
        case _:
            points = _around(x, y, [r, 0.42 * r] * 5)
    return Path(points, (0, 0, 0), 0.06, CLASS_COLOURS[k])


def _around(x: float, y: float, radii: Sequence[float]) -> Points:
    angles = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return tuple(
        (x + r * math.sin(a), y - r * math.cos(a)) for r, a in zip(radii, angles, strict=True)
    )

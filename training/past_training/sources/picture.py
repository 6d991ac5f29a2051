"""The H&E of a section, whatever file it came in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_past.errors import DamagedSlide, NotASlide
from napari_past.slide import Slide, open_slide, slide_of_array
from napari_past.types import Rgb

FLAT_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
"""ST and Visium often come with plain pictures; they have no levels and are decoded as a whole."""


def open_picture(path: Path, mpp: float | None = None) -> Slide:
    """The picture as a slide: lazily, or in memory where it is a plain JPEG or PNG.

    Parameters
    ----------
    path
        Anything that `napari_past.open_slide` opens, or a JPEG or PNG.
    mpp
        µm/px; overrides what the file states. A JPEG or PNG states none.

    Raises
    ------
    SlideError
        Missing, damaged, or nothing that is read as 8-bit RGB.
    """
    if path.suffix.lower() not in FLAT_SUFFIXES:
        return open_slide(path, mpp)
    try:
        rgb = _decoded(path)
    except FileNotFoundError as exc:
        raise NotASlide(f"{path} does not exist; check the path of the picture.") from exc
    except (OSError, SyntaxError) as exc:  # Pillow raises SyntaxError for a broken PNG
        raise DamagedSlide(
            f"{path.name} cannot be read as a picture ({exc}); copy it again from where it came "
            "from."
        ) from exc
    return slide_of_array(rgb, mpp)


def stated_mpp(path: Path) -> float | None:
    """µm/px that the file itself states, or None.

    Raises
    ------
    SlideError
        Missing, or nothing that is read as a slide.
    """
    if path.suffix.lower() in FLAT_SUFFIXES:
        if not path.is_file():
            raise NotASlide(f"{path} does not exist; check the path of the picture.")
        return None
    with open_slide(path) as slide:
        return slide.metadata.mpp


def _decoded(path: Path) -> Rgb:
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # sections exceed Pillow's guard
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    finally:
        Image.MAX_IMAGE_PIXELS = limit

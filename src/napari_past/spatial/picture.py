"""The H&E of a section, whatever file it came in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from napari_past.errors import DamagedSlide, NotASlide, SlideError
from napari_past.files import file_sha256
from napari_past.slide import Slide, open_slide, slide_of_array

FLAT_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
"""ST and Visium often come with plain pictures; they have no levels and are decoded as a whole."""
LARGEST_PX = 2**29
"""Of a plain picture, 1.6 GB once it is unpacked: a small file may promise any size."""


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
        Missing, damaged, nothing that is read as 8-bit RGB, or a plain picture of more than
        `LARGEST_PX`.
    """
    if path.suffix.lower() not in FLAT_SUFFIXES:
        return open_slide(path, mpp)
    with _telling(path), _any_size(), Image.open(path) as picture:
        if picture.width * picture.height > LARGEST_PX:
            raise SlideError(
                f"{path.name} has {picture.width} x {picture.height} pixels, too many to unpack at "
                f"once; convert it with `vips tiffsave {path.name} OUT.tif --tile --pyramid "
                "--compression jpeg` and give that."
            )
        rgb = np.asarray(picture.convert("RGB"))
    # Its path names it in messages; who opens it again goes by `FLAT_SUFFIXES`.
    return slide_of_array(rgb, mpp, str(path))


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


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) in px of the full resolution; a plain picture is not decoded for it.

    Raises
    ------
    SlideError
        Missing, damaged, or nothing that is read as a slide.
    """
    if path.suffix.lower() in FLAT_SUFFIXES:
        with _telling(path), _any_size(), Image.open(path) as picture:
            return picture.size
    with open_slide(path) as slide:
        return slide.levels[0].width_px, slide.levels[0].height_px


def picture_fingerprint(path: Path, slide: Slide) -> str:
    """64 hex digits that depend on the picture's content alone.

    A slide has its own; a plain picture, which is a slide in memory only, has its file's SHA-256.
    """
    flat = path.suffix.lower() in FLAT_SUFFIXES
    return file_sha256(path) if flat else slide.fingerprint


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Tells what Pillow raises as one sentence."""
    try:
        yield
    except FileNotFoundError as exc:
        raise NotASlide(f"{path} does not exist; check the path of the picture.") from exc
    except (OSError, SyntaxError) as exc:  # Pillow raises SyntaxError for a broken PNG
        raise DamagedSlide(
            f"{path.name} cannot be read as a picture ({exc}); copy it again from where it came "
            "from."
        ) from exc


@contextmanager
def _any_size() -> Iterator[None]:
    """Lets Pillow open pictures beyond its guard, as sections are."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit

"""Plain pictures as slides that worker processes can open, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_past.engine.picture_copies import pictures_folder
from napari_past.errors import CannotWrite
from napari_past.files import atomic_write, file_sha256
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import Slide, open_slide
from napari_past.spatial.picture import FLAT_SUFFIXES, open_picture


def encodable_slide(path: Path, mpp: float) -> Slide:
    """A slide whose cells can be encoded: of a JPEG or PNG a pyramid, without loss, in the cache.

    Tiles are encoded where the slide is opened again by its path, which `open_picture` of a plain
    picture does not allow. The pyramid is written once.

    Parameters
    ----------
    mpp
        µm/px of the picture.

    Raises
    ------
    SlideError
        Missing, damaged, or nothing that is read as a slide.
    CannotWrite
        The cache is full or read-only.
    """
    if path.suffix.lower() not in FLAT_SUFFIXES:
        return open_slide(path, mpp)
    with open_picture(path, mpp) as picture:
        folder = pictures_folder() / file_sha256(path)[:32]
        copy = folder / f"{path.stem}.ome.tif"
        if not copy.exists():
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise CannotWrite(
                    f"The cache folder {folder} cannot be made ({exc.strerror}); point "
                    "NAPARI_PAST_CACHE to another one."
                ) from exc
            with atomic_write(copy) as unfinished:
                pixels = np.asarray(picture.level_arrays[0])
                write_pyramid(unfinished, pixels, mpp, path.stem, jpeg=False)
    slide = open_slide(copy, mpp)
    slide.name = path.name  # the user knows no other
    return slide

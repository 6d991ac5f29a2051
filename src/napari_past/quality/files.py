"""Masks in files: our own, with their µm/px, and label images of anybody's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from napari_past.errors import BadTable
from napari_past.files import atomic_write, existing_file
from napari_past.quality.mask import UNSCORED_KINDS, QualityMask

KEY = "napari_past_unscored"
"""Of the description in our files, a JSON object."""
SCHEMA_VERSION = 1
OTHER = len(UNSCORED_KINDS)
_ASPECT_TOLERANCE = 0.01
_MOST_PIXELS = 2**28
_SUFFIXES = (".tif", ".tiff", ".png")


def write_mask(path: str | Path, mask: QualityMask) -> None:
    """Write a mask as TIFF: labels as pixels, µm/px as resolution, kinds and source as description.

    The same mask gives the same bytes; an unfinished file never stands at `path`.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    told = {
        "schema_version": SCHEMA_VERSION,
        "mpp": mask.mpp,
        "source": mask.source,
        "kinds": list(UNSCORED_KINDS),
    }
    per_cm = 1e4 / mask.mpp
    with atomic_write(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            mask.labels,
            photometric="minisblack",
            compression="zlib",
            metadata=None,
            description=json.dumps({KEY: told}),
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
        )


def read_mask(path: str | Path, slide_size_um: tuple[float, float]) -> QualityMask:
    """A mask of `write_mask`, or a label image of anybody's laid over the whole slide.

    In the latter every value but 0 is not scored. Values that are all 1 to 6 are the kinds
    (``UNSCORED_KINDS[value - 1]``); but a lone 1, as a lone 255, says nothing of the kind: then,
    and where any value is larger, all are "other".

    Parameters
    ----------
    path
        TIFF or PNG, one channel; any size whose aspect is that of the slide within 1 %.
    slide_size_um
        (width, height) of the slide in µm.

    Raises
    ------
    BadTable
        No such file, no label image, or made for a slide of another shape or size.
    """
    source = existing_file(path)
    if source.suffix.lower() not in _SUFFIXES:
        raise BadTable(
            f"{source.name} is no mask that is read; give a label image as .tif or .png, or "
            "polygons as .geojson."
        )
    pixels, told = _pixels(source)
    height, width = pixels.shape
    slide_width_um, slide_height_um = slide_size_um
    if told is None:
        labels = _kinds_of(pixels)
        mpp = max(slide_size_um) / (width if slide_width_um >= slide_height_um else height)
        origin = source.name
        slack_px = max(1.5, _ASPECT_TOLERANCE * max(height, width))
    else:
        labels = pixels.astype(np.uint8)
        mpp, origin = told
        slack_px = 1.5
    misfit = max(abs(slide_width_um / mpp - width), abs(slide_height_um / mpp - height))
    if misfit > slack_px:
        raise BadTable(
            f"{source.name} is {width} x {height} px, which does not fit a slide of "
            f"{slide_width_um:.0f} x {slide_height_um:.0f} µm; give the mask that was made for "
            "this slide."
        )
    return QualityMask(labels, mpp, origin)


def _pixels(source: Path) -> tuple[npt.NDArray[np.integer], tuple[float, str] | None]:
    """Integers (h, w), and (µm/px, source) where the file is ours."""
    told = None
    try:
        if source.suffix.lower() == ".png":
            with Image.open(source) as image:
                _check_size(source, image.height * image.width)
                pixels = np.asarray(image)
        else:
            with tifffile.TiffFile(source) as tif:
                page = tif.series[0].keyframe
                _check_size(source, page.imagelength * page.imagewidth)
                pixels = tif.series[0].asarray()
                told = _told(page.description)
    except BadTable:
        raise
    except Exception as exc:  # damaged files fail in the decoders in many ways
        raise BadTable(
            f"{source.name} cannot be read as an image ({exc}); export the mask again."
        ) from exc
    pixels = np.squeeze(pixels)
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        first = pixels[..., 0]
        if not (pixels[..., :3] == first[..., None]).all():
            raise BadTable(
                f"{source.name} is a coloured picture, not a label image; export the mask with one "
                "number for each pixel."
            )
        pixels = first
    if pixels.ndim != 2 or pixels.size == 0 or pixels.dtype.kind not in "biu":
        raise BadTable(
            f"{source.name} holds {pixels.dtype} of shape {pixels.shape}, but a label image is "
            "whole numbers, (height, width); export it as 8-bit TIFF or PNG."
        )
    if told is not None and pixels.max() > len(UNSCORED_KINDS):
        raise BadTable(f"{source.name} holds kinds that are not known; update napari-past.")
    return pixels, told


def _check_size(source: Path, pixels: int) -> None:
    if pixels > _MOST_PIXELS:
        raise BadTable(
            f"{source.name} has {pixels / 1e6:.0f} megapixels, more than a mask needs; export it "
            "at a lower resolution, as 8 µm/px."
        )


def _told(description: str) -> tuple[float, str] | None:
    """µm/px and source of our own files; None of files of others."""
    try:
        told = json.loads(description)[KEY]
        mpp, source = float(told["mpp"]), str(told["source"])
    except (ValueError, TypeError, KeyError):
        return None
    return (mpp, source) if np.isfinite(mpp) and mpp > 0 else None


def _kinds_of(pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    values = {int(v) for v in np.unique(pixels)} - {0}
    if values and values != {1} and values <= set(range(1, OTHER + 1)):
        return pixels.astype(np.uint8)
    return np.where(pixels != 0, np.uint8(OTHER), np.uint8(0))

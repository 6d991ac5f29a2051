"""Slides in TIFF files: Aperio, Hamamatsu, Leica, Philips, Ventana, OME-TIFF and plain pyramids.

tifffile finds the images and decodes tiles; zarr puts tiles together, from any thread. tifffile
gives fill values for tiles that are missing and grey for JPEG tiles that end early, so both are
checked here: the places of all tiles when opening, the end of each JPEG stream when decoding.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from PIL import Image
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage, TiffPageSeries

from napari_past.errors import DamagedSlide, PastError, SlideError
from napari_past.slide.planes import ZarrPlane, check_rgb8, unsupported
from napari_past.slide.series import chosen_series, unique_names
from napari_past.slide.source import Source
from napari_past.slide.tiff_facts import tiff_mpp_xy, tiff_objective, tiff_vendor

# what tifffile logs about a damaged file is said once, in our own words
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_JPEG = (COMPRESSION.JPEG, COMPRESSION.OJPEG)
_END_OF_JPEG = b"\xff\xd9"
_APERIO_YCBCR = COMPRESSION.APERIO_JP2000_YCBC
_GLASS = 255
_LARGEST_TILE_BYTES = 2**29


def open_tiff(path: Path, series: int | str | None) -> Source:
    """The image of a TIFF file that `series` chooses, by default the largest that is no label.

    Raises
    ------
    DamagedSlide
        The directory or the places of tiles do not fit the file.
    UnsupportedPixels
        Not 8-bit RGB.
    SlideError
        No such series.
    """
    tif: TiffFile | None = None
    try:
        tif = TiffFile(path)
        return _source(tif, path, series)
    except BaseException as exc:
        if tif is not None:
            tif.close()
        if isinstance(exc, PastError) or not isinstance(exc, Exception):
            raise
        raise DamagedSlide(
            f"{path.name} begins like a TIFF file but its directory cannot be read "
            f"({str(exc) or type(exc).__name__}); the file is damaged or incomplete, copy it "
            "again from where it came from."
        ) from exc


def _source(tif: TiffFile, path: Path, wanted: int | str | None) -> Source:
    if len(tif.pages) == 0:
        raise DamagedSlide(
            f"{path.name} begins like a TIFF file but ends before its directory; the file is "
            "incomplete, copy it again from where it came from."
        )
    images = _pyramids(list(tif.series))
    names = unique_names([levels[0].name for levels in images])
    titles = [_description_title(levels[0].keyframe) for levels in images]
    hints = [f"{name} {title}" for name, title in zip(names, titles, strict=True)]
    areas = [levels[0].keyframe.imagewidth * levels[0].keyframe.imagelength for levels in images]
    chosen = chosen_series(path.name, names, hints, areas, wanted)
    levels = images[chosen]
    planes = tuple(_plane(level, path.name) for level in levels)
    for level in levels:
        _check_places(level, path, sparse=tif.is_philips)
    return Source(
        levels=planes,
        vendor=tiff_vendor(tif),
        objective=tiff_objective(tif, levels[0]),
        mpp_xy=tiff_mpp_xy(tif, levels[0], chosen),
        series_names=names,
        content=lambda: [("", path)],
        close=tif.close,
    )


def _pyramids(found: list[TiffPageSeries]) -> list[list[TiffPageSeries]]:
    """Each image of the file with its levels, fine to coarse.

    tifffile joins the levels of plain TIFF files only at factors of 2, 3 and 4; here any smaller
    picture of the same shape that is marked as reduced or is a sub-directory joins, too.
    """
    images: list[list[TiffPageSeries]] = []
    for series in found:
        if series.kind in ("generic", "shaped", "uniform") and images:
            page = series.keyframe
            if (page.is_subifd or page.is_reduced) and _is_smaller(images[0][0], series):
                images[0].extend(series.levels)
                continue
        images.append(list(series.levels))
    return [_descending(levels) for levels in images]


def _descending(levels: list[TiffPageSeries]) -> list[TiffPageSeries]:
    """The first level and those that are smaller pictures of it, each smaller than the last."""
    out = levels[:1]
    for level in sorted(levels[1:], key=lambda s: -s.keyframe.imagewidth):
        if _is_smaller(out[-1], level) and _is_smaller(out[0], level):
            out.append(level)
    return out


def _is_smaller(large: TiffPageSeries, small: TiffPageSeries) -> bool:
    """Whether `small` has fewer pixels of the same kind and, to 2 px or 2 %, the same shape."""
    a, b = large.keyframe, small.keyframe
    if (a.dtype, a.samplesperpixel) != (b.dtype, b.samplesperpixel):
        return False
    if b.imagewidth >= a.imagewidth or b.imagelength >= a.imagelength:
        return False
    expected = a.imagelength * b.imagewidth / a.imagewidth
    return abs(b.imagelength - expected) <= max(2.0, 0.02 * expected)


def _check_places(level: TiffPageSeries, path: Path, sparse: bool) -> None:
    """Every tile must lie inside the file; only Philips leaves out tiles of empty glass."""
    expected = math.prod(level.keyframe.chunked)
    for page in level.pages:
        if page is None:
            raise DamagedSlide(
                f"{path.name} lacks a plane that its metadata promise; the file is incomplete, "
                "copy it again from where it came from."
            )
        start = np.asarray(page.dataoffsets[:expected], dtype=np.int64)
        size = np.asarray(page.databytecounts[:expected], dtype=np.int64)
        missing = (start <= 0) | (size <= 0)
        outside = ~missing & (start + size > page.parent.filehandle.size)
        bad = expected - len(start) + int(outside.sum()) + (0 if sparse else int(missing.sum()))
        if bad:
            shape = f"{level.keyframe.imagewidth} x {level.keyframe.imagelength}"
            raise DamagedSlide(
                f"{path.name} is damaged: {bad} of {expected} tiles of its level {shape} are "
                "missing or lie behind the file's end; copy it again from where it came from."
            )


def _plane(level: TiffPageSeries, slide_name: str) -> ZarrPlane:
    page = level.keyframe
    axes = "".join(_distinct(level.get_axes(False).lower()))
    colour = check_rgb8(slide_name, axes, level.get_shape(False), level.dtype)
    compression, photometric = page.compression, page.photometric
    raw_ycbcr = photometric == PHOTOMETRIC.YCBCR and compression not in _JPEG
    if photometric not in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) and colour == "s":
        raise unsupported(slide_name, f"colours of the kind {getattr(photometric, 'name', '?')}")
    if raw_ycbcr and compression in (COMPRESSION.NONE, COMPRESSION.LZW, COMPRESSION.ADOBE_DEFLATE):
        raise unsupported(slide_name, "YCbCr colours without JPEG compression")
    if math.prod(page.chunks) > _LARGEST_TILE_BYTES:
        raise SlideError(
            f"{slide_name} stores its pixels in pieces of {' x '.join(map(str, page.chunks))}, "
            "too large to read in part; convert it with `vips tiffsave IN OUT.tif --tile --pyramid "
            "--compression jpeg`, or copy it again if it is a scanner's own file."
        )
    _decode_with_care(page)
    store = level.aszarr(level=0, squeeze=False, fillvalue=_GLASS)
    return ZarrPlane(zarr.open_array(store, mode="r", zarr_format=2), axes, colour)


def _distinct(axes: str) -> list[str]:
    """Axes letters with repeated ones (tifffile's unknown ``q``) made different."""
    return [a if a not in axes[:i] else str(i) for i, a in enumerate(axes)]


def _decode_with_care(page: TiffPage) -> None:
    """Make a page refuse JPEG streams that end early, and give RGB where Aperio stores YCbCr."""
    decode: Callable[..., Any] = page.decode
    whole_jpeg = page.compression in _JPEG and page.jpegheader is None
    ycbcr = page.compression == _APERIO_YCBCR

    def careful(data: bytes | None, *args: Any, **kwargs: Any) -> Any:
        if whole_jpeg and data is not None and _END_OF_JPEG not in data.rstrip(b"\0")[-16:]:
            raise ValueError("a JPEG tile ends early")
        decoded = decode(data, *args, **kwargs)
        if ycbcr and decoded[0] is not None:
            image = Image.fromarray(decoded[0][0], mode="YCbCr").convert("RGB")
            return (np.asarray(image)[np.newaxis], *decoded[1:])
        return decoded

    page.__dict__["decode"] = careful


def _description_title(page: TiffPage) -> str:
    """The first words of an associated image's description: Aperio's "label 387x463"."""
    lines = page.description.splitlines()
    match = re.match(r"\s*(label|macro|thumbnail)\b", "".join(lines[1:2] or lines[:1]), re.I)
    return match[1] if match else ""

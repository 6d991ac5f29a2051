"""Slides in TIFF files: Aperio, Hamamatsu, Leica, Philips, Ventana, OME-TIFF and plain pyramids.

tifffile finds the images and decodes tiles; zarr puts tiles together, from any thread. tifffile
gives fill values for tiles that are missing, so the places of all tiles are checked when opening;
`tiff_tiles` checks each stream when it is decoded.
"""

from __future__ import annotations

import logging
import math
import re
from contextlib import suppress
from typing import IO, Any, cast

import zarr
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffPage, TiffPageSeries

from napari_past.errors import DamagedSlide, PastError, SlideError, UnsupportedPixels
from napari_past.slide.access.range_file import RangeFile
from napari_past.slide.planes import check_rgb8, unsupported
from napari_past.slide.series import chosen_series, slide_names, unique_names
from napari_past.slide.source import SlideContent
from napari_past.slide.tiff_facts import (
    ome_files_beside,
    tiff_mpp_xy,
    tiff_objective,
    tiff_vendor,
)
from napari_past.slide.tiff_tiles import (
    JPEG,
    PICTURES,
    STREAMS,
    TiffPlane,
    decode_with_care,
    lost_tiles,
    tile_spans,
    untold_tiles,
)

# what tifffile logs about a damaged file is said once, in our own words
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_GLASS = 255
_LARGEST_TILE_BYTES = 2**29
_MOST_DIRECTORIES = 4096
_DIRECTORY_BYTES = 2**28
"""That opening may read: directories of the largest slides take a tenth."""
_MOST_LOST = 0.1
"""Share of a level's tiles without which it is still shown; what is lost is marked."""


def open_tiff(
    file: RangeFile, slide_name: str, series: int | str | None
) -> tuple[TiffFile, SlideContent]:
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
        with file.within(_DIRECTORY_BYTES):
            tif = TiffFile(cast(IO[bytes], file))
            return tif, _content(tif, file, slide_name, series)
    except BaseException as exc:
        if tif is not None:
            tif.close()
        if isinstance(exc, PastError) or not isinstance(exc, Exception):
            raise
        raise DamagedSlide(
            f"{slide_name} begins like a TIFF file but its directory cannot be read "
            f"({str(exc)[:200] or type(exc).__name__}); the file is damaged or incomplete, copy it "
            "again from where it came from."
        ) from exc


def _content(
    tif: TiffFile, file: RangeFile, slide_name: str, wanted: int | str | None
) -> SlideContent:
    _check_directories(tif, slide_name)
    images = _pyramids(list(tif.series))
    names = unique_names([levels[0].name for levels in images])
    titles = [_description_title(levels[0].keyframe) for levels in images]
    hints = [f"{name} {title}" for name, title in zip(names, titles, strict=True)]
    areas = [levels[0].keyframe.imagewidth * levels[0].keyframe.imagelength for levels in images]
    chosen = chosen_series(slide_name, names, hints, areas, wanted)
    levels = images[chosen]
    others = ome_files_beside(tif)
    if others and any(page is None for page in levels[0].pages):
        raise SlideError(
            f"{slide_name} is one of {others + 1} files that hold one picture together, which is "
            "not read; join them with `bfconvert FIRST OUT.ome.tif` and give OUT.ome.tif."
        )
    planes, faults = _planes(levels, file, slide_name, sparse=tif.is_philips)
    if others:
        faults.append(f"pictures that lie in other files ({others}): open those for them")
    return SlideContent(
        levels=tuple(planes),
        vendor=tiff_vendor(tif),
        objective=tiff_objective(tif, levels[0]),
        mpp_xy=tiff_mpp_xy(tif, levels[0], chosen),
        series_names=names,
        image_names=slide_names(names, hints),
        series=chosen,
        faults=tuple(faults),
    )


def _check_directories(tif: TiffFile, slide_name: str) -> None:
    """Refuse directories without end and metadata that expand themselves."""
    with suppress(IndexError):
        tif.pages.get(_MOST_DIRECTORIES)
        raise DamagedSlide(
            f"{slide_name} has more than {_MOST_DIRECTORIES} directories, more than any slide; it "
            "is damaged or no slide."
        )
    if len(tif.pages) == 0:
        raise DamagedSlide(
            f"{slide_name} begins like a TIFF file but ends before its directory; the file is "
            "incomplete, copy it again from where it came from."
        )
    first = tif.pages[0]
    if isinstance(first, TiffPage) and "<!ENTITY" in first.description:
        raise DamagedSlide(
            f"{slide_name} has metadata that define entities of XML, which no scanner writes; it "
            "is not opened."
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


def _planes(
    levels: list[TiffPageSeries], file: RangeFile, slide_name: str, sparse: bool
) -> tuple[list[TiffPlane], list[str]]:
    """Levels that are there, and sentences on what of them is not.

    A smaller level that lacks too much is left out: the level below has the same tissue.
    """
    planes, faults = [], []
    for i, level in enumerate(levels):
        shape = f"{level.keyframe.imagewidth} x {level.keyframe.imagelength}"
        array, axes, colour = _array(level, slide_name)
        n_lost, n_tiles = untold_tiles(level)
        # a small file may state any size: room is made for what its directories tell
        if n_lost <= _MOST_LOST * n_tiles:
            spans = tile_spans(level)
            lost = lost_tiles(spans, file.size, sparse)
            n_lost, n_tiles = int(lost.sum()), lost.size
        what = f"{n_lost} of {n_tiles} tiles of its level {shape} are missing or lie behind "
        if n_lost > _MOST_LOST * n_tiles and i == 0:
            raise DamagedSlide(
                f"{slide_name} is damaged: {what}the file's end; copy it again from where it came "
                "from."
            )
        if n_lost > _MOST_LOST * n_tiles:
            faults.append(f"{what}the file's end: the level is left out")
            continue
        if n_lost:
            faults.append(
                f"{what}the file's end: drawn hatched and reported as unreadable; copy the slide "
                "again"
            )
        planes.append(TiffPlane(array, axes, colour, file, spans, lost))
    return planes, faults


def _array(level: TiffPageSeries, slide_name: str) -> tuple[zarr.Array[Any], str, str]:
    page = level.keyframe
    axes = "".join(_distinct(level.get_axes(False).lower()))
    colour = check_rgb8(slide_name, axes, level.get_shape(False), level.dtype)
    compression, photometric = page.compression, page.photometric
    raw_ycbcr = photometric == PHOTOMETRIC.YCBCR and compression not in JPEG
    if photometric not in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) and colour == "s":
        raise unsupported(slide_name, f"colours of the kind {getattr(photometric, 'name', '?')}")
    if raw_ycbcr and compression in (COMPRESSION.NONE, COMPRESSION.LZW, COMPRESSION.ADOBE_DEFLATE):
        raise unsupported(slide_name, "YCbCr colours without JPEG compression")
    if compression not in PICTURES and compression not in STREAMS:
        kind = getattr(compression, "name", compression)
        raise UnsupportedPixels(
            f"{slide_name} holds pixels compressed as {kind}, which is not read; convert it with "
            "`vips tiffsave IN OUT.tif --tile --pyramid --compression jpeg` or `bfconvert`."
        )
    if math.prod(page.chunks) > _LARGEST_TILE_BYTES:
        raise SlideError(
            f"{slide_name} stores its pixels in pieces of {' x '.join(map(str, page.chunks))}, "
            "too large to read in part; convert it with `vips tiffsave IN OUT.tif --tile --pyramid "
            "--compression jpeg`, or copy it again if it is a scanner's own file."
        )
    decode_with_care(page)
    store = level.aszarr(level=0, squeeze=False, fillvalue=_GLASS)
    return zarr.open_array(store, mode="r", zarr_format=2), axes, colour


def _distinct(axes: str) -> list[str]:
    """Axes letters with repeated ones (tifffile's unknown ``q``) made different."""
    return [a if a not in axes[:i] else str(i) for i, a in enumerate(axes)]


def _description_title(page: TiffPage) -> str:
    """The first words of an associated image's description: Aperio's "label 387x463"."""
    lines = page.description.splitlines()
    match = re.match(r"\s*(label|macro|thumbnail)\b", "".join(lines[1:2] or lines[:1]), re.I)
    return match[1] if match else ""

"""Slides that only OpenSlide reads: MRXS and DICOM (extra ``napari-past[openslide]``)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image, ImageColor

from napari_past.errors import DamagedSlide, MissingExtra, PastError
from napari_past.slide.fingerprint import LocalPart, Part
from napari_past.slide.series import chosen_series
from napari_past.slide.source import Source, stamp_of
from napari_past.slide.units import plausible_mpp
from napari_past.types import Rgb

SUFFIXES = (".mrxs", ".vms", ".vmu")
_TILE_PX = 512
_VENDORS = {"dicom": "DICOM", "mirax": "3DHISTECH", "hamamatsu": "Hamamatsu"}
_HEAD_BYTES = 65536
"""The part of a DICOM file in which its series is named."""


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def dicom_files(folder: Path) -> list[Path]:
    """DICOM files of a folder, sorted by name."""
    return [f for f in sorted(folder.iterdir()) if f.is_file() and is_dicom(f)]


def open_openslide(path: Path, series: int | str | None) -> Source:
    """A slide through OpenSlide: an MRXS file, a DICOM file, or a folder of DICOM files.

    A folder that holds several slides has one series for each.

    Raises
    ------
    MissingExtra
        OpenSlide is not installed.
    DamagedSlide
        OpenSlide cannot read it.
    """
    library = _library(path)
    candidates = dicom_files(path) if path.is_dir() else [path]
    slides: dict[str, _Handle] = {}
    refusal: Exception | None = None
    for file in candidates:
        try:
            slide = _Handle(library, file)
        except (library.OpenSlideError, OSError) as exc:
            refusal = exc
            continue
        key = slide.properties.get("dicom.SeriesInstanceUID", "")
        if key in slides:
            slide.close()
        else:
            slides[key] = slide
    if not slides:
        reason = str(refusal).replace(f"{path.parent}/", "")
        raise DamagedSlide(
            f"{path.name} looks like a slide for OpenSlide, which cannot read it ({reason}); it "
            "is damaged, incomplete or no whole-slide image, copy it again from where it came from."
        ) from refusal
    opened = list(slides.values())
    names = tuple(f"Slide {i}" for i in range(len(opened))) if opened[1:] else ("Baseline",)
    areas = [s.dimensions[0] * s.dimensions[1] for s in opened]
    try:
        chosen = chosen_series(path.name, names, names, areas, series)
    except PastError:
        for slide in opened:
            slide.close()
        raise
    for i, slide in enumerate(opened):
        if i != chosen:
            slide.close()
    slide = opened[chosen]
    properties = slide.properties
    return Source(
        levels=tuple(OpenSlideLevel(slide, i) for i in _usable_levels(slide)),
        vendor=_VENDORS.get(properties.get("openslide.vendor", ""), "OpenSlide"),
        objective=_number(properties.get("openslide.objective-power")),
        mpp_xy=_mpp_xy(properties),
        series_names=names,
        image_names=names,
        series=chosen,
        content=lambda: _content(path, candidates, list(slides)[chosen]),
        stamp=lambda: stamp_of(candidates),
        close=slide.close,
    )


class _Handle:
    """An open slide that survives bytes which cannot be decoded.

    OpenSlide refuses all further reads of a handle after its first error, so another takes its
    place, and the read that failed is tried on one of its own before it is believed.
    """

    def __init__(self, library: ModuleType, path: Path) -> None:
        self._library = library
        self._path = path
        self._slide = library.OpenSlide(str(path))
        self._lock = threading.Lock()
        self.properties: Mapping[str, str] = dict(self._slide.properties)
        self.dimensions: tuple[int, int] = self._slide.dimensions
        self.level_dimensions: tuple[tuple[int, int], ...] = self._slide.level_dimensions

    def read_region(self, place: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """RGBA pixels; `place` in level-0 px."""
        used = self._slide
        try:
            image: Image.Image = used.read_region(place, level, size)
        except self._library.OpenSlideError:
            self._check_disk()
            with self._lock:
                if self._slide is used:
                    # others may be reading: the old one closes when the last has let go of it
                    self._slide = self._library.OpenSlide(str(self._path))
            with self._library.OpenSlide(str(self._path)) as alone:
                image = alone.read_region(place, level, size)
        return image

    def close(self) -> None:
        self._slide.close()

    def _check_disk(self) -> None:
        """Let an error of the disk be told as one: OpenSlide tells it as damage."""
        with self._path.open("rb") as file:
            file.read(1)


class OpenSlideLevel:
    """One level of an OpenSlide image, read in whole tiles of a fixed grid.

    OpenSlide takes positions in level-0 px and rounds them, so a fixed grid is what makes a pixel
    the same in every window.
    """

    tile_px = (_TILE_PX, _TILE_PX)

    def __init__(self, slide: _Handle, level: int) -> None:
        width_px, height_px = slide.level_dimensions[level]
        self.shape = (height_px, width_px, 3)
        self._slide = slide
        self._level = level
        self._downsample_yx = (slide.dimensions[1] / height_px, slide.dimensions[0] / width_px)
        colour = slide.properties.get("openslide.background-color", "FFFFFF")
        self._glass = ImageColor.getrgb(f"#{colour}")

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window inside the level, uint8, (y1 − y0, x1 − x0, 3)."""
        out = np.empty((y1_px - y0_px, x1_px - x0_px, 3), np.uint8)
        for top in range(y0_px // _TILE_PX * _TILE_PX, y1_px, _TILE_PX):
            for left in range(x0_px // _TILE_PX * _TILE_PX, x1_px, _TILE_PX):
                tile = self._tile(top, left)
                y0, x0 = max(top, y0_px), max(left, x0_px)
                y1, x1 = min(top + tile.shape[0], y1_px), min(left + tile.shape[1], x1_px)
                out[y0 - y0_px : y1 - y0_px, x0 - x0_px : x1 - x0_px] = tile[
                    y0 - top : y1 - top, x0 - left : x1 - left
                ]
        return out

    def _tile(self, top_px: int, left_px: int) -> Rgb:
        height_px = min(_TILE_PX, self.shape[0] - top_px)
        width_px = min(_TILE_PX, self.shape[1] - left_px)
        place = (
            round(left_px * self._downsample_yx[1]),
            round(top_px * self._downsample_yx[0]),
        )
        rgba = self._slide.read_region(place, self._level, (width_px, height_px))
        rgb = Image.new("RGB", rgba.size, self._glass)
        rgb.paste(rgba, mask=rgba.getchannel("A"))
        return np.asarray(rgb)


def _library(path: Path) -> ModuleType:
    try:
        import openslide
    except (ImportError, OSError) as exc:
        raise MissingExtra(
            f"{path.name} is read through OpenSlide, which is not installed; install it with "
            "`pip install 'napari-past[openslide]'`."
        ) from exc
    module: ModuleType = openslide
    return module


def _usable_levels(slide: _Handle) -> Sequence[int]:
    """Levels that keep the slide's shape, each smaller than the last."""
    width0_px, height0_px = slide.dimensions
    out = [0]
    for i, (width_px, height_px) in enumerate(slide.level_dimensions[1:], start=1):
        expected = height0_px * width_px / width0_px
        if width_px < slide.level_dimensions[out[-1]][0] and abs(height_px - expected) <= max(
            2.0, 0.02 * expected
        ):
            out.append(i)
    return out


def _mpp_xy(properties: Any) -> tuple[float, float] | None:
    x = _number(properties.get("openslide.mpp-x"))
    y = _number(properties.get("openslide.mpp-y"))
    return None if x is None or y is None else plausible_mpp((x, y))


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _content(path: Path, candidates: Sequence[Path], series_uid: str) -> list[Part]:
    if series_uid:
        folder = path if path.is_dir() else path.parent
        uid = series_uid.encode()
        files = [f for f in dicom_files(folder) if uid in _head(f)]
        return [LocalPart(f.name, f) for f in files or candidates]
    beside = path.with_suffix("")
    parts = [f for f in sorted(beside.rglob("*")) if f.is_file()] if beside.is_dir() else []
    inside = (LocalPart(f.relative_to(beside).as_posix(), f) for f in parts)
    return [LocalPart("", path), *inside]


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)

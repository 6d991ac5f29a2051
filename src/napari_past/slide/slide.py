"""A slide: a lazy pyramid of 8-bit RGB with a physical size."""

from __future__ import annotations

import math
import os
import threading
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import dask.array as da
import numpy as np

from napari_past.errors import MissingPixelSize, NotASlide, RegionError, SlideError
from napari_past.slide.fingerprint import fingerprint
from napari_past.slide.glass import glass_colour
from napari_past.slide.omezarr import is_zarr_folder, open_omezarr
from napari_past.slide.openslide import SUFFIXES, dicom_files, is_dicom, open_openslide
from napari_past.slide.resample import Axis, resampled
from napari_past.slide.small_levels import display_windows
from napari_past.slide.source import LevelPixels, SlideMetadata, Source
from napari_past.slide.tiff import open_tiff
from napari_past.slide.tissue import TISSUE_MPP, TissueMask, tissue_mask
from napari_past.slide.units import checked_mpp, square_mpp
from napari_past.types import PyramidLevel, Rect, Rgb, SlideRef

_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PICTURE_MARKS = {b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture"}
_CHUNK_PX = 1024
_LEVEL_TOLERANCE = 1.01
"""A level up to 1 % coarser than asked for is taken: vendors round their µm/px."""


def open_slide(
    path: str | os.PathLike[str], mpp: float | None = None, series: int | str | None = None
) -> Slide:
    """A slide, opened without reading pixels.

    Parameters
    ----------
    path
        A TIFF-based slide (SVS, NDPI, SCN, BIF, Philips, OME-TIFF, pyramidal TIFF), an OME-Zarr
        folder, or, with the extra ``openslide``, an MRXS file, a DICOM file or a folder of them.
    mpp
        Size of a level-0 pixel in µm, 0.02 to 20; overrides what the file states.
    series
        Which image of a file that holds several: its position or its name in `Slide.series_names`.
        The default is the largest that is no label, macro picture or thumbnail.

    Raises
    ------
    NotASlide
        Missing, empty, or no format that is read.
    UnsupportedPixels
        Not 8-bit RGB.
    DamagedSlide
        Truncated or undecodable.
    MissingExtra
        OpenSlide is needed and not installed.
    SlideError
        An implausible `mpp`, an unknown `series`, or pixels that are not square.
    """
    mpp = checked_mpp(mpp)
    place = Path(os.path.abspath(path))
    source = _opened(place, series)
    try:
        return Slide(source, SlideRef(str(place), mpp, series))
    except BaseException:
        source.close()
        raise


def _opened(path: Path, series: int | str | None) -> Source:
    try:
        if path.is_dir():
            if is_zarr_folder(path):
                return open_omezarr(path, series)
            if dicom_files(path):
                return open_openslide(path, series)
            raise NotASlide(
                f"{path.name} is a folder without OME-Zarr metadata or DICOM files; give a slide "
                "file, an OME-Zarr folder or a folder of DICOM files."
            )
        with path.open("rb") as file:
            head = file.read(4)
        dicom = is_dicom(path)
    except FileNotFoundError as exc:
        raise NotASlide(f"{path} does not exist; check the path of the slide.") from exc
    except OSError as exc:
        raise NotASlide(
            f"{path} cannot be read ({exc.strerror or exc}); check its permissions."
        ) from exc
    if not head:
        raise NotASlide(f"{path.name} is an empty file; copy the slide again.")
    # the index file of an MRXS slide is a JPEG picture, so its suffix decides
    if path.suffix.lower() in SUFFIXES or dicom:
        return open_openslide(path, series)
    if head in _TIFF_MARKS:
        return open_tiff(path, series)
    kind = next((k for mark, k in _PICTURE_MARKS.items() if head.startswith(mark)), None)
    if kind is not None:
        raise NotASlide(
            f"{path.name} is {kind}, not a slide; convert it with `vips tiffsave "
            f"{path.name} OUT.tif --tile --pyramid --compression jpeg` and give its µm/px."
        )
    raise NotASlide(
        f"{path.name} is no image that is read as a slide; give a TIFF-based slide (SVS, NDPI, "
        "SCN, BIF, OME-TIFF), an OME-Zarr folder, or MRXS or DICOM."
    )


class Slide:
    """A lazy pyramid of 8-bit RGB with a physical size; made by `open_slide`.

    Reads are thread-safe. Another process opens its own from `ref`.
    """

    def __init__(self, source: Source, ref: SlideRef) -> None:
        self.ref = ref
        self.name = Path(ref.path).name
        self.vendor = source.vendor
        self.objective = source.objective
        self.series_names = source.series_names
        self.mpp_given = ref.mpp is not None
        stated = source.mpp_xy
        mean = None if stated is None else (stated[0] + stated[1]) / 2
        self.mpp = ref.mpp if ref.mpp is not None else square_mpp(self.name, stated)
        self.metadata = SlideMetadata(source.vendor, source.objective, mean)
        self._source = source
        self._closed = threading.Event()
        self._lock = threading.RLock()
        self._pixels = tuple(
            LevelPixels(window, self.name, k, self._closed)
            for k, window in enumerate(source.levels)
        )
        self.levels = tuple(self._pyramid_level(p.shape) for p in self._pixels)

    def _pyramid_level(self, shape: tuple[int, int, int]) -> PyramidLevel:
        height0_px, width0_px, _ = self._pixels[0].shape
        height_px, width_px, _ = shape
        return PyramidLevel(height_px, width_px, height0_px / height_px, width0_px / width_px)

    def with_mpp(self, mpp: float) -> Slide:
        """The same open file with another physical size; closing either closes both."""
        return Slide(self._source, SlideRef(self.ref.path, checked_mpp(mpp), self.ref.series))

    def require_mpp(self) -> float:
        """µm/px of level 0.

        Raises
        ------
        MissingPixelSize
            The file states none and none was given.
        """
        if self.mpp is None:
            raise MissingPixelSize(
                f"{self.name} states no pixel size; give µm per level-0 pixel with mpp= in Python "
                "or --mpp on the command line (0.25 and 0.5 are usual for 40x and 20x)."
            )
        return self.mpp

    @property
    def size_um(self) -> tuple[float, float]:
        """(width, height) in µm."""
        mpp = self.require_mpp()
        return self.levels[0].width_px * mpp, self.levels[0].height_px * mpp

    @property
    def bounds(self) -> Rect:
        """The whole slide in slide space."""
        width_um, height_um = self.size_um
        return Rect(0.0, 0.0, width_um, height_um)

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits that depend on the file's content alone, not on its name or place.

        Raises
        ------
        SlideError
            The file is gone or cannot be read.
        """
        try:
            return fingerprint(self._source.content())
        except OSError as exc:
            raise SlideError(
                f"{self.name} can no longer be read ({exc.strerror or exc}); check that its drive "
                "is connected and open it again."
            ) from exc

    @cached_property
    def level_arrays(self) -> tuple[da.Array, ...]:
        """The file's levels as lazy arrays (Y, X, 3) uint8, fine to coarse."""
        return tuple(_lazy(p) for p in self._pixels)

    @cached_property
    def _display_pixels(self) -> tuple[LevelPixels, ...]:
        with self._lock:
            return tuple(
                w if isinstance(w, LevelPixels) else LevelPixels(w, self.name, k, self._closed)
                for k, w in enumerate(display_windows(self._pixels))
            )

    @cached_property
    def display_levels(self) -> tuple[da.Array, ...]:
        """`level_arrays` with halved levels after the last one and in gaps of more than 4x.

        Built when looked at, from the pixels below alone; the last one's longer side is at most
        1024 px. The place of a level's pixels follows from the ratio of sizes.
        """
        return tuple(_lazy(p) for p in self._display_pixels)

    @property
    def display_pixels(self) -> tuple[LevelPixels, ...]:
        """`display_levels` without dask: a slice is read at once, in the thread that asks."""
        return self._display_pixels

    @cached_property
    def background(self) -> tuple[int, int, int]:
        """Red, green, blue of clear glass, 0–255; white where none is seen."""
        with self._lock:
            return glass_colour(self._pixels[-1])

    def read_grid(
        self, column_px: int, row_px: int, width_px: int, height_px: int, mpp: float
    ) -> Rgb:
        """Pixels of the global grid at `mpp`, uint8, (height_px, width_px, 3).

        Pixel (c, r) covers [c·mpp, (c + 1)·mpp) x [r·mpp, (r + 1)·mpp) µm whatever window it is
        read in. Outside of the slide it has the background's colour.

        Parameters
        ----------
        column_px, row_px
            First pixel, any integers.
        width_px, height_px
            Size of the window, at least 1.
        mpp
            µm/px of the grid.

        Raises
        ------
        RegionError
            A size below 1 or an `mpp` that is not positive.
        MissingPixelSize
            The slide has no µm/px.
        DamagedSlide
            Pixels cannot be decoded.
        """
        if width_px < 1 or height_px < 1:
            raise RegionError(
                f"A window needs a width and a height of at least 1 px, but got {width_px} x "
                f"{height_px}."
            )
        level, y, x = self._sampling(self._pixels, 0.0, 0.0, mpp)
        return resampled(
            level, y, x, row_px, column_px, height_px, width_px, lambda: self.background
        )

    def read_region(
        self, x_um: float, y_um: float, width_um: float, height_um: float, mpp: float
    ) -> Rgb:
        """Pixels of a rectangle at any µm/px, uint8, (round(height / mpp), round(width / mpp), 3).

        The first pixel's outer corner is at (x_um, y_um); the size is at least 1 px each way.

        Raises
        ------
        RegionError
            The rectangle is malformed or lies entirely outside of the slide.
        MissingPixelSize
            The slide has no µm/px.
        DamagedSlide
            Pixels cannot be decoded.
        """
        region = Rect(x_um, y_um, width_um, height_um)
        if not region.intersects(self.bounds):
            raise RegionError(
                f"The region x {x_um:g}, y {y_um:g}, {width_um:g} x {height_um:g} µm lies outside "
                f"of {self.name}, which is {self.size_um[0]:.0f} x {self.size_um[1]:.0f} µm from "
                "(0, 0); give a region in µm within it."
            )
        level, y, x = self._sampling(self._pixels, y_um, x_um, mpp)
        height_px = max(1, round(height_um / mpp))
        width_px = max(1, round(width_um / mpp))
        return resampled(level, y, x, 0, 0, height_px, width_px, lambda: self.background)

    def _sampling(
        self, pixels: tuple[LevelPixels, ...], y0_um: float, x0_um: float, mpp: float
    ) -> tuple[LevelPixels, Axis, Axis]:
        """The coarsest level that still resolves `mpp`, and how a grid from (x0, y0) lies on it."""
        mpp0 = self.require_mpp()
        if not (math.isfinite(mpp) and mpp > 0):
            raise RegionError(f"A region is read at a positive number of µm/px, but got {mpp!r}.")
        chosen, place = pixels[0], self.levels[0]
        for p in pixels:
            level = self._pyramid_level(p.shape)
            if mpp0 * max(level.downsample_y, level.downsample_x) <= mpp * _LEVEL_TOLERANCE:
                chosen, place = p, level
        mpp_y, mpp_x = mpp0 * place.downsample_y, mpp0 * place.downsample_x
        return chosen, Axis(y0_um / mpp_y, mpp / mpp_y), Axis(x0_um / mpp_x, mpp / mpp_x)

    def tissue_mask(self, faint: bool = False) -> TissueMask:
        """Where the tissue is, at 8 µm/px, or at the slide's own µm/px where that is coarser.

        Parameters
        ----------
        faint
            Whether stain may be as pale as the counterstain of an IHC slide.

        Raises
        ------
        MissingPixelSize
            The slide has no µm/px.
        """
        self.require_mpp()
        return self._faint_tissue_mask if faint else self._tissue_mask

    @cached_property
    def _tissue_mask(self) -> TissueMask:
        return self._masked(faint=False)

    @cached_property
    def _faint_tissue_mask(self) -> TissueMask:
        return self._masked(faint=True)

    def _masked(self, faint: bool) -> TissueMask:
        with self._lock:
            mpp = max(TISSUE_MPP, self.require_mpp())
            level, y, x = self._sampling(self._display_pixels, 0.0, 0.0, mpp)
            width_um, height_um = self.size_um
            height_px, width_px = math.ceil(height_um / mpp), math.ceil(width_um / mpp)
            rgb = resampled(level, y, x, 0, 0, height_px, width_px, lambda: self.background)
            return tissue_mask(rgb, mpp, self.background, faint)

    def close(self) -> None:
        """Let go of the file; reading afterwards is an error."""
        if not self._closed.is_set():
            self._closed.set()
            self._source.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return open_slide, (self.ref.path, self.ref.mpp, self.ref.series)

    def __repr__(self) -> str:
        size = f"{self.levels[0].width_px} x {self.levels[0].height_px} px"
        mpp = "no µm/px" if self.mpp is None else f"{self.mpp:.4g} µm/px"
        return f"<Slide {self.name}: {size}, {len(self.levels)} levels, {mpp}, {self.vendor}>"


def _lazy(pixels: LevelPixels) -> da.Array:
    chunks = tuple(
        _chunk_px(size, tile) for size, tile in zip(pixels.shape[:2], pixels.tile_px, strict=True)
    )
    array: da.Array = da.from_array(
        pixels,
        chunks=(*chunks, 3),
        name=False,
        asarray=False,
        fancy=False,
        meta=np.empty((0, 0, 0), np.uint8),
    )
    return array


def _chunk_px(size_px: int, tile_px: int) -> int:
    """A multiple of the tile near 1024 px; strips as wide as the slide are cut."""
    if tile_px > 4 * _CHUNK_PX:
        return _CHUNK_PX
    return min(size_px, max(1, round(_CHUNK_PX / tile_px)) * tile_px)

"""A slide: a lazy pyramid of 8-bit RGB with a physical size."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from napari_past.errors import (
    MissingPixelSize,
    RegionError,
    SlideChanged,
    SlideUnreachable,
)
from napari_past.slide.fingerprint import fingerprint
from napari_past.slide.glass import glass_colour
from napari_past.slide.mended import mended_levels
from napari_past.slide.opening import open_local, open_remote
from napari_past.slide.place import is_remote, local_path, shown_name
from napari_past.slide.resample import Axis, resampled
from napari_past.slide.small_levels import display_windows
from napari_past.slide.source import LevelPixels, PixelWindow, SlideMetadata, Source
from napari_past.slide.tissue import TISSUE_MPP, TissueMask, tissue_mask
from napari_past.slide.units import check_size, checked_mpp, square_mpp
from napari_past.types import PyramidLevel, Rect, Rgb, SlideRef

if TYPE_CHECKING:
    import dask.array as da

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
        With the extra ``remote``, a TIFF-based slide or an OME-Zarr folder at an address
        (``https://…``, ``s3://…``), of which only what is looked at is read.
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
        OpenSlide or fsspec is needed and not installed.
    SlideUnreachable
        Its disk or server does not answer.
    SlideError
        An implausible `mpp` or size, an unknown `series`, pixels that are not square, or a server
        that refuses or sends files as a whole only.
    """
    mpp = checked_mpp(mpp)
    local = local_path(path)
    place = os.fspath(path) if local is None else str(local)
    source = open_remote(place, series) if local is None else open_local(local, series)
    try:
        return Slide(source, SlideRef(place, mpp, series))
    except BaseException:
        source.close()
        raise


class Slide:
    """A lazy pyramid of 8-bit RGB with a physical size; made by `open_slide`.

    Reads are thread-safe. Another process opens its own from `ref`.
    """

    def __init__(self, source: Source, ref: SlideRef) -> None:
        self.ref = ref
        self.name = shown_name(ref.path)
        self.vendor = source.vendor
        self.objective = source.objective
        self.series_names = source.series_names
        self.image_names = source.image_names
        self.series = source.series
        self.faults = source.faults
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
        self._mended = mended_levels(self._pixels)
        self.levels = tuple(self._pyramid_level(p.shape) for p in self._pixels)
        first = self.levels[0]
        check_size(self.name, first.width_px, first.height_px, self.mpp)
        self._stamp = source.stamp()

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
        return self._fingerprint_now()

    def _fingerprint_now(self) -> str:
        try:
            return fingerprint(self._source.content())
        except OSError as exc:
            raise SlideUnreachable(
                f"{self.name} can no longer be read ({exc.strerror or exc}); check that its drive "
                "is connected and open it again."
            ) from exc

    def check_unchanged(self) -> None:
        """Do nothing where the same content still lies there; cheap, and safe from any thread.

        A file's time of change or inode may change without its content, as with clocks and mounts,
        so the fingerprint has the last word; servers give another mark to another content.

        Raises
        ------
        SlideChanged
            Another slide has taken its place, or it is gone.
        SlideUnreachable
            Its disk or server does not answer.
        """
        try:
            stamp = self._source.stamp()
            if stamp == self._stamp:
                return
            known = self.__dict__.get("fingerprint")
            if not is_remote(self.ref.path) and self._fingerprint_now() == known:
                self._stamp = stamp
                return
        except (SlideUnreachable, OSError) as exc:
            gone = local_path(self.ref.path)
            if gone is None or gone.parent.exists() is gone.exists():
                if isinstance(exc, SlideUnreachable):
                    raise
                raise SlideUnreachable(
                    f"{self.name} cannot be read for now ({exc.strerror or exc}); check that its "
                    "drive is connected and try again."
                ) from exc
        raise SlideChanged(
            f"{self.name} was replaced or removed since it was opened; open it again: what is "
            "finished belongs to the slide as it was."
        )

    @cached_property
    def level_arrays(self) -> tuple[da.Array, ...]:
        """The file's levels as lazy arrays (Y, X, 3) uint8, fine to coarse."""
        return _lazy_levels(self._pixels)

    @cached_property
    def _display_pixels(self) -> tuple[LevelPixels, ...]:
        with self._lock:
            return tuple(
                LevelPixels(w, self.name, k, self._closed)
                for k, w in enumerate(display_windows(self._mended))
            )

    @cached_property
    def display_levels(self) -> tuple[da.Array, ...]:
        """`level_arrays` with halved levels after the last one and in gaps of more than 4x.

        Built when looked at, from the pixels below alone; the last one's longer side is at most
        1024 px. The place of a level's pixels follows from the ratio of sizes. A tile that cannot
        be decoded is drawn from the level below, or hatched in grey where that has none.
        """
        return _lazy_levels(self._display_pixels)

    @property
    def display_pixels(self) -> tuple[LevelPixels, ...]:
        """`display_levels` without dask: a slice is read at once, in the thread that asks."""
        return self._display_pixels

    @cached_property
    def background(self) -> tuple[int, int, int]:
        """Red, green, blue of clear glass, 0–255; white where none is seen."""
        with self._lock:
            return glass_colour(self._mended[-1])

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
        return self._region(self._pixels, x_um, y_um, width_um, height_um, mpp)

    def picture(
        self, x_um: float, y_um: float, width_um: float, height_um: float, mpp: float
    ) -> Rgb:
        """`read_region` for the eye: tiles that cannot be decoded are drawn as `display_levels` do.

        Raises
        ------
        RegionError, MissingPixelSize
            As `read_region`.
        """
        return self._region(self._mended, x_um, y_um, width_um, height_um, mpp)

    def _region(
        self,
        pixels: Sequence[PixelWindow],
        x_um: float,
        y_um: float,
        width_um: float,
        height_um: float,
        mpp: float,
    ) -> Rgb:
        region = Rect(x_um, y_um, width_um, height_um)
        if not region.intersects(self.bounds):
            raise RegionError(
                f"The region x {x_um:g}, y {y_um:g}, {width_um:g} x {height_um:g} µm lies outside "
                f"of {self.name}, which is {self.size_um[0]:.0f} x {self.size_um[1]:.0f} µm from "
                "(0, 0); give a region in µm within it."
            )
        level, y, x = self._sampling(pixels, y_um, x_um, mpp)
        height_px = max(1, round(height_um / mpp))
        width_px = max(1, round(width_um / mpp))
        return resampled(level, y, x, 0, 0, height_px, width_px, lambda: self.background)

    def _sampling(
        self, pixels: Sequence[PixelWindow], y0_um: float, x0_um: float, mpp: float
    ) -> tuple[PixelWindow, Axis, Axis]:
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


def _lazy_levels(pixels: Sequence[LevelPixels]) -> tuple[da.Array, ...]:
    # Here: a worker reads pixels without dask's arrays, which take half a second to import.
    from napari_past.slide.lazy_level import lazy_level

    return tuple(lazy_level(p) for p in pixels)

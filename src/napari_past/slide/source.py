"""What a backend gives to `Slide`: levels to be read window by window, and the file's facts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_past.errors import DamagedSlide, PastError, SlideError, SlideUnreachable
from napari_past.slide.access.patience import is_passing
from napari_past.slide.fingerprint import Part
from napari_past.types import Rgb


@dataclass(frozen=True)
class SlideMetadata:
    """Facts as the file states them; nothing about the patient or the operator."""

    vendor: str
    """Maker or format: "Aperio", "OME-TIFF", "DICOM" …"""
    objective: float | None
    """Nominal magnification of the objective, or None."""
    mpp: float | None
    """µm/px of level 0 as in the file, whatever the user gave."""


class PixelWindow(Protocol):
    """One level of a slide that can be read window by window, from any thread."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3) in level px."""

    @property
    def tile_px(self) -> tuple[int, int]:
        """(height, width) of the unit in which pixels are decoded."""

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window that lies inside the level, (y1 − y0, x1 − x0, 3)."""


@dataclass(frozen=True, kw_only=True)
class SlideContent:
    """What a reader finds in a slide: levels from fine to coarse, and what is said about itself."""

    levels: tuple[PixelWindow, ...]
    vendor: str
    objective: float | None
    mpp_xy: tuple[float, float] | None
    """µm/px along x and y of level 0, or None where the file has no plausible value."""
    series_names: tuple[str, ...]
    image_names: tuple[str, ...]
    """Those of `series_names` that are slides, not labels, macro pictures or thumbnails."""
    series: int
    """Position of the opened one in `series_names`."""
    faults: tuple[str, ...] = ()
    """What of the slide is known to be missing, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Source(SlideContent):
    """An opened slide file."""

    content: Callable[[], Sequence[Part]]
    """Files that make up the slide, each with a name that does not depend on where it lies."""
    stamp: Callable[[], Hashable]
    """Cheap to ask; another answer than before is a reason to compare fingerprints."""
    close: Callable[[], None]

    @classmethod
    def of(
        cls,
        found: SlideContent,
        content: Callable[[], Sequence[Part]],
        stamp: Callable[[], Hashable],
        close: Callable[[], None],
    ) -> Source:
        """What was found, with where it lies and how it is let go."""
        told = {field.name: getattr(found, field.name) for field in fields(SlideContent)}
        return cls(**told, content=content, stamp=stamp, close=close)


class LevelPixels:
    """One level, sliceable as an array (Y, X, 3) uint8, whose errors are told in a sentence.

    dask reads through ``__getitem__``, everything else through `read`.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(
        self, window: PixelWindow, slide_name: str, level: int, closed: threading.Event
    ) -> None:
        self.window = window
        self.shape = window.shape
        self.tile_px = window.tile_px
        self._slide_name = slide_name
        self._level = level
        self._closed = closed

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window inside the level, uint8, (y1 − y0, x1 − x0, 3).

        Raises
        ------
        DamagedSlide
            The file's data there cannot be decoded.
        SlideUnreachable
            Its disk or server does not answer for now.
        SlideError
            The slide was closed.
        """
        if self._closed.is_set():
            raise SlideError(f"{self._slide_name} was closed; open it again with open_slide.")
        try:
            return self.window.read(y0_px, y1_px, x0_px, x1_px)
        except (PastError, MemoryError):
            raise
        except Exception as exc:  # decoders raise many types, each means the same to a user
            if isinstance(exc, OSError) and is_passing(exc):
                raise SlideUnreachable(
                    f"{self._slide_name} cannot be read for now ({exc.strerror}); check that its "
                    "disk is connected and try again: what is finished is kept."
                ) from exc
            reason = str(exc)[:200] or type(exc).__name__
            raise DamagedSlide(
                f"{self._slide_name} has pixels that cannot be decoded (level {self._level}, "
                f"x {x0_px}–{x1_px}, y {y0_px}–{y1_px}: {reason}); the "
                "file is damaged or incomplete, copy it again from where it came from."
            ) from exc

    def __getitem__(self, key: Any) -> Rgb:
        keys = key if isinstance(key, tuple) else (key,)
        keys = tuple(keys) + (slice(None),) * (3 - len(keys))
        y0_px, y1_px, rows = _window_of(keys[0], self.shape[0])
        x0_px, x1_px, columns = _window_of(keys[1], self.shape[1])
        if y0_px == y1_px or x0_px == x1_px:
            pixels = np.empty((y1_px - y0_px, x1_px - x0_px, 3), np.uint8)
        else:
            pixels = self.read(y0_px, y1_px, x0_px, x1_px)
        picked: Rgb = pixels[:, columns][rows][..., keys[2]]
        return picked


def _window_of(key: Any, size_px: int) -> tuple[int, int, Any]:
    """Window [start, stop) that holds what `key` selects, and the key within that window."""
    if isinstance(key, slice):
        chosen = range(*key.indices(size_px))
        if not chosen:
            return 0, 0, slice(None)
        low, high = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
        return low, high + 1, slice(None, None, chosen.step)
    index = range(size_px)[int(key)]
    return index, index + 1, 0


def stamp_of(paths: Sequence[Path]) -> tuple[tuple[int, int, int] | None, ...]:
    """Size, time of change and inode of files; None for one that is gone."""
    out: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            out.append(None)
        else:
            out.append((stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return tuple(out)

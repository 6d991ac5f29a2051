"""Pixels of a slide that is far away: fetched block by block beside the GUI thread, newest first.

Knows no Qt.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from napari_past.errors import PastError
from napari_past.plugin.lazy_level import Window
from napari_past.types import Rgb

BLOCK_PX = 512
KEPT_BYTES = 192 * 2**20
"""Of blocks: some screens of a slide."""
MOST_WAITING = 96
"""Blocks that wait to be fetched; those that were asked for before are of views long gone."""
THREADS = 6
"""Requests at a time: a server's answer is waited for, which costs no core."""

Key = tuple[int, int, int]
"""Level, row and column of a block."""


class PixelLevel(Protocol):
    """One level, (Y, X, 3) uint8, read from several threads."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: tuple[slice, slice]) -> Rgb: ...


class FetchedPixels:
    """Levels of a slide from fine to coarse, the last one in memory. Any thread may call.

    Parameters
    ----------
    levels
        The last one is read here, so make it where nobody waits.
    on_change
        Told in another thread when a block came, or could not be fetched.

    Raises
    ------
    SlideError
        The last level cannot be read.
    """

    def __init__(self, levels: Sequence[PixelLevel], on_change: Callable[[], None]) -> None:
        self._levels, self._on_change = tuple(levels), on_change
        self._coarsest = np.asarray(self._levels[-1][:, :], np.uint8)
        self._blocks: OrderedDict[Key, Rgb] = OrderedDict()
        self._bytes = 0
        self._waiting: OrderedDict[Key, None] = OrderedDict()
        self._in_work: set[Key] = set()
        self._failed: set[Key] = set()
        self._error: PastError | None = None
        self._lock = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def __len__(self) -> int:
        return len(self._levels)

    def shape(self, level: int) -> tuple[int, int]:
        """(height, width) in px."""
        height, width = self._levels[level].shape[:2]
        return height, width

    @property
    def busy(self) -> bool:
        """Whether blocks that were asked for are not there yet."""
        with self._lock:
            return bool(self._waiting or self._in_work)

    def take_error(self) -> PastError | None:
        """Why a block could not be fetched, told once; what failed is asked for again then."""
        with self._lock:
            error, self._error = self._error, None
            if error is not None:
                self._failed.clear()
            return error

    def read(self, level: int, window: Window) -> Rgb:
        """A window's pixels, fetched in the thread that asks.

        Raises
        ------
        SlideError
            They cannot be read.
        """
        y0, y1, x0, x1 = window
        if level == len(self._levels) - 1:
            return self._coarsest[y0:y1, x0:x1].copy()
        return np.asarray(self._levels[level][y0:y1, x0:x1])

    def glimpse(self, level: int, window: Window) -> Rgb:
        """A window's pixels as far as they are there, coarser ones in place of those that are
        fetched meanwhile. Waits for nobody."""
        last = len(self._levels) - 1
        if level == last:
            return self.read(level, window)
        with self._lock:
            keys = _keys(level, window)
            missing = [key for key in keys if key not in self._blocks]
            self._want(missing)
            rgb = self._coarser(level, window) if missing else np.empty(_size(window), np.uint8)
            for key in keys:
                self._paste(key, rgb, window)
        return rgb

    def close(self) -> None:
        """Fetch nothing more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._lock.notify_all()

    def _want(self, keys: list[Key]) -> None:
        """Fetch these before those that were wanted earlier."""
        for key in keys:
            if key in self._in_work or key in self._failed or self._closed:
                continue
            self._waiting[key] = None
            self._waiting.move_to_end(key)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        idle = THREADS - len(self._threads)
        for _ in range(min(idle, len(self._waiting))):
            thread = threading.Thread(target=self._fetch, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._lock.notify_all()

    def _fetch(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._closed:
                    self._lock.wait()
                if self._closed:
                    return
                key, _ = self._waiting.popitem()
                self._in_work.add(key)
            rgb, error = None, None
            try:
                rgb = self._block(key)
            except PastError as exc:
                error = exc
            with self._lock:
                self._in_work.discard(key)
                if rgb is None:
                    self._failed.add(key)
                    self._error = error
                else:
                    self._keep(key, rgb)
            self._on_change()

    def _block(self, key: Key) -> Rgb:
        level, row, column = key
        height, width = self.shape(level)
        y0, x0 = row * BLOCK_PX, column * BLOCK_PX
        return self.read(level, (y0, min(y0 + BLOCK_PX, height), x0, min(x0 + BLOCK_PX, width)))

    def _keep(self, key: Key, rgb: Rgb) -> None:
        self._blocks[key] = rgb
        self._bytes += rgb.nbytes
        while self._bytes > KEPT_BYTES:
            _, oldest = self._blocks.popitem(last=False)
            self._bytes -= oldest.nbytes

    def _coarser(self, level: int, window: Window) -> Rgb:
        """The window from the finest coarser level of which all is there."""
        y0, y1, x0, x1 = window
        height, width = self.shape(level)
        for other in range(level + 1, len(self._levels)):
            rows_px, columns_px = self.shape(other)
            rows = ((np.arange(y0, y1) + 0.5) * rows_px / height).astype(np.intp)
            columns = ((np.arange(x0, x1) + 0.5) * columns_px / width).astype(np.intp)
            part = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
            keys = _keys(other, part)
            if other < len(self._levels) - 1 and not all(key in self._blocks for key in keys):
                continue
            if other == len(self._levels) - 1:
                rgb = self._coarsest[part[0] : part[1], part[2] : part[3]]
            else:
                rgb = np.empty(_size(part), np.uint8)
                for key in keys:
                    self._paste(key, rgb, part)
            return rgb[np.ix_(rows - part[0], columns - part[2])]
        raise AssertionError("the last level is in memory")

    def _paste(self, key: Key, rgb: Rgb, window: Window) -> None:
        """Draw a block into the pixels of a window, where it is there."""
        block = self._blocks.get(key)
        if block is None:
            return
        self._blocks.move_to_end(key)
        (y0, y1, x0, x1), (_, row, column) = window, key
        top, left = row * BLOCK_PX, column * BLOCK_PX
        low_y, high_y = max(y0, top), min(y1, top + block.shape[0])
        low_x, high_x = max(x0, left), min(x1, left + block.shape[1])
        part = block[low_y - top : high_y - top, low_x - left : high_x - left]
        rgb[low_y - y0 : high_y - y0, low_x - x0 : high_x - x0] = part


def _keys(level: int, window: Window) -> list[Key]:
    """The blocks that a window touches, its middle last: what is wanted last comes first."""
    y0, y1, x0, x1 = window
    rows = range(y0 // BLOCK_PX, -(-y1 // BLOCK_PX))
    columns = range(x0 // BLOCK_PX, -(-x1 // BLOCK_PX))
    middle = (y0 + y1) / (2 * BLOCK_PX) - 0.5, (x0 + x1) / (2 * BLOCK_PX) - 0.5
    keys = [(level, row, column) for row in rows for column in columns]
    return sorted(keys, key=lambda k: -np.hypot(k[1] - middle[0], k[2] - middle[1]))


def _size(window: Window) -> tuple[int, int, int]:
    y0, y1, x0, x1 = window
    return y1 - y0, x1 - x0, 3

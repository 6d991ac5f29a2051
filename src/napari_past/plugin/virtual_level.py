"""Levels of a virtual stain as napari takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_past.errors import CannotWrite
from napari_past.plugin.curtain import Curtain, Rgba
from napari_past.plugin.virtual_drawing import BLOCK_PX, VirtualDrawing
from napari_past.stain.virtual_mark import burn_in, with_repeated_words
from napari_past.types import PixelGrid, Rgb

Window = tuple[int, int, int, int]
"""y0, y1, x0, x1 in pixels of a level."""


class Showing(Protocol):
    """What napari shows of the levels."""

    @property
    def curtain(self) -> Curtain | None:
        """Left of it the H&E is seen."""

    def shows(self, level: int, window: Window) -> bool:
        """Whether napari asks for a window of a level to put it on its canvas."""


class VirtualLevel:
    """One level, (Y, X, 4) uint8, which nobody can take out of the viewer without its words.

    What napari puts on its canvas, where other words tell what it is, is there at once, clear where
    nothing is drawn yet. Everybody else gets all pixels, with words all over them.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, drawing: VirtualDrawing, level: int, showing: Showing) -> None:
        self._drawing, self._level, self._showing = drawing, level, showing
        self.shape = (*drawing.shape(level), 4)
        self.size = int(np.prod(self.shape))
        self.chunks = (BLOCK_PX, BLOCK_PX, 4)
        """napari asks for whole blocks, so that small steps of the view need no new ones."""

    def __getitem__(self, key: Any) -> Rgba:
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in keys or len(keys) > self.ndim:
            return self.__array__()[key]
        keys += (slice(None),) * (self.ndim - len(keys))
        rows, columns, channels = keys
        if not (isinstance(rows, slice) and isinstance(columns, slice)):
            return self.__array__()[key]
        (y0, y1, y_step), (x0, x1, x_step) = (
            s.indices(n) for s, n in zip((rows, columns), self.shape[:2], strict=True)
        )
        if y_step < 1 or x_step < 1 or y1 <= y0 or x1 <= x0:
            return np.zeros(self.shape, np.uint8)[key]
        window = (y0, y1, x0, x1)
        shown = y_step == x_step == 1 and self._showing.shows(self._level, window)
        rgba = self._seen(window) if shown else self._all(window)
        return np.asarray(rgba[::y_step, ::x_step, channels])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Rgba:
        return self._all((0, self.shape[0], 0, self.shape[1]))

    def _seen(self, window: Window) -> Rgba:
        rgb, there = self._drawing.glimpse(self._level, *window)
        rgba = np.empty((*there.shape, 4), np.uint8)
        rgba[..., :3], rgba[..., 3] = rgb, there
        rgba[..., 3] *= 255
        curtain = self._showing.curtain
        if curtain is not None:
            mpp = self._drawing.mpp[self._level]
            curtain.draw(rgba, PixelGrid(window[2] * mpp, window[0] * mpp, mpp))
        return rgba

    def _all(self, window: Window) -> Rgba:
        rgb = self._drawing.read(self._level, *window)
        return opaque(with_repeated_words(rgb, window[0], window[2]))


def opaque(rgb: Rgb) -> Rgba:
    """The same pixels with a fourth channel that hides what lies below."""
    return np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=2)


def overview_shape(drawing: VirtualDrawing) -> tuple[int, int, int]:
    """Of a picture half as large as the coarsest level."""
    height, width = drawing.shape(len(drawing) - 1)
    return -(-height // 2), -(-width // 2), 4


def overview_of(drawing: VirtualDrawing) -> Callable[[], Rgba]:
    """Work that draws the whole slide, small, with words in it.

    napari writes a multiscale layer's last level to files and makes thumbnails of it: with this
    one added both tell what they are.
    """

    def work() -> Rgba:
        level = len(drawing) - 1
        height, width = drawing.shape(level)
        small = np.asarray(Image.fromarray(drawing.read(level, 0, height, 0, width)).reduce(2))
        try:
            return opaque(burn_in(small))
        except CannotWrite:
            return opaque(with_repeated_words(small, 0, 0))

    return work

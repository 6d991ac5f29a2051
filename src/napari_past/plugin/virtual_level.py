"""Levels of a virtual stain as napari takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from PIL import Image

from napari_past.errors import CannotWrite
from napari_past.plugin.curtain import Curtain, Rgba
from napari_past.plugin.lazy_level import LazyLevel, Window
from napari_past.plugin.virtual_drawing import BLOCK_PX, VirtualDrawing
from napari_past.stain.virtual_mark import burn_in, with_repeated_words
from napari_past.types import PixelGrid, Rgb


class Showing(Protocol):
    """What napari shows of the levels."""

    @property
    def curtain(self) -> Curtain | None:
        """Left of it the H&E is seen."""

    def shows(self, level: int, window: Window) -> bool:
        """Whether napari asks for a window of a level to put it on its canvas."""


class VirtualLevel(LazyLevel):
    """One level, (Y, X, 4) uint8, which nobody can take out of the viewer without its words.

    What napari puts on its canvas, where other words tell what it is, is there at once, clear where
    nothing is drawn yet. Everybody else gets all pixels, with words all over them.
    """

    def __init__(self, drawing: VirtualDrawing, level: int, showing: Showing) -> None:
        super().__init__(drawing.shape(level), 4, BLOCK_PX)
        self._drawing, self._level, self._showing = drawing, level, showing

    def _pixels(self, window: Window, whole: bool) -> Rgba:
        shown = whole and self._showing.shows(self._level, window)
        return self._seen(window) if shown else self._all(window)

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

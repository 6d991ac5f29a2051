"""Levels for the eye: where tiles cannot be decoded, what the level below shows, else hatching."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from napari_past.errors import DamagedSlide
from napari_past.slide.source import LevelPixels
from napari_past.types import Rgb

HATCH_DARK, HATCH_LIGHT = (104, 104, 104), (152, 152, 152)
"""Two greys that neither glass nor H&E have. Both are dense enough to count as tissue in the mask,
so that tiles there are planned, and told as unreadable by whoever reads them."""
_STRIPE_PX = 8
_MOST_PIXELS = 2**26
"""Of the level below, read for one tile."""


class MendedLevel:
    """A level that shows something everywhere; measuring reads the level itself, which refuses."""

    def __init__(self, level: LevelPixels, finer: MendedLevel | None) -> None:
        self.shape = level.shape
        self.tile_px = level.tile_px
        self._level = level
        self._finer = finer

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window inside the level, uint8, (y1 − y0, x1 − x0, 3)."""
        try:
            return self._level.read(y0_px, y1_px, x0_px, x1_px)
        except DamagedSlide:
            return self._tile_by_tile(y0_px, y1_px, x0_px, x1_px)

    def _tile_by_tile(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        out = np.empty((y1_px - y0_px, x1_px - x0_px, 3), np.uint8)
        tall, wide = self.tile_px
        for top in range(y0_px // tall * tall, y1_px, tall):
            for left in range(x0_px // wide * wide, x1_px, wide):
                window = (
                    *(max(top, y0_px), min(top + tall, y1_px)),
                    *(max(left, x0_px), min(left + wide, x1_px)),
                )
                try:
                    pixels = self._level.read(*window)
                except DamagedSlide:
                    pixels = self._made_up(*window)
                out[
                    window[0] - y0_px : window[1] - y0_px, window[2] - x0_px : window[3] - x0_px
                ] = pixels
        return out

    def _made_up(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        finer = self._finer
        if finer is None:
            return _hatching(y0_px, y1_px, x0_px, x1_px)
        down_y, down_x = finer.shape[0] / self.shape[0], finer.shape[1] / self.shape[1]
        top, bottom = y0_px * down_y, min(y1_px * down_y, finer.shape[0])
        left, right = x0_px * down_x, min(x1_px * down_x, finer.shape[1])
        if (bottom - top) * (right - left) > _MOST_PIXELS:
            return _hatching(y0_px, y1_px, x0_px, x1_px)
        y, x = math.floor(top), math.floor(left)
        below = Image.fromarray(finer.read(y, math.ceil(bottom), x, math.ceil(right)))
        size = (x1_px - x0_px, y1_px - y0_px)
        box = (left - x, top - y, right - x, bottom - y)
        return np.asarray(below.resize(size, Image.Resampling.BOX, box))


def mended_levels(levels: tuple[LevelPixels, ...]) -> tuple[MendedLevel, ...]:
    """The same levels, fine to coarse, each mended from the one below."""
    out: list[MendedLevel] = []
    for level in levels:
        out.append(MendedLevel(level, out[-1] if out else None))
    return tuple(out)


def _hatching(y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
    """Diagonal stripes that go on from tile to tile."""
    y, x = np.ogrid[y0_px:y1_px, x0_px:x1_px]
    dark = ((y + x) // _STRIPE_PX % 2 == 0)[..., np.newaxis]
    return np.where(dark, np.array(HATCH_DARK, np.uint8), np.array(HATCH_LIGHT, np.uint8))

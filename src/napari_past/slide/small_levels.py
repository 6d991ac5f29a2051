"""Smaller levels for display, built block by block where the file has none."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from PIL import Image

from napari_past.slide.source import PixelWindow
from napari_past.types import Rgb

LARGEST_LAST_LEVEL_PX = 1024
"""Longest side of the coarsest level: a viewer loads it as a whole."""
_WIDEST_GAP = 4.0
_BLOCK_PX = 512
_CACHE_BYTES = 32 * 2**20
"""Blocks kept per built level, so that panning back reads nothing again."""


class HalvedLevel:
    """A level half as large as its parent: means of 2 x 2 pixels, computed when read.

    A block depends on exactly the four blocks below it, so reading touches no other tile, and the
    recursion holds one block per level: memory stays bounded however large the plane is.
    """

    tile_px = (_BLOCK_PX, _BLOCK_PX)

    def __init__(self, parent: PixelWindow, height_px: int, width_px: int) -> None:
        self.shape = (height_px, width_px, 3)
        self._parent = parent
        self._blocks: OrderedDict[tuple[int, int], Rgb] = OrderedDict()
        self._in_work: dict[tuple[int, int], threading.Lock] = {}
        self._lock = threading.Lock()

    def read(self, y0_px: int, y1_px: int, x0_px: int, x1_px: int) -> Rgb:
        """Pixels of a window inside the level, uint8, (y1 − y0, x1 − x0, 3)."""
        out = np.empty((y1_px - y0_px, x1_px - x0_px, 3), np.uint8)
        for i in range(y0_px // _BLOCK_PX, -(-y1_px // _BLOCK_PX)):
            for j in range(x0_px // _BLOCK_PX, -(-x1_px // _BLOCK_PX)):
                block = self._block(i, j)
                top, left = i * _BLOCK_PX, j * _BLOCK_PX
                y0, y1 = max(top, y0_px), min(top + _BLOCK_PX, y1_px)
                x0, x1 = max(left, x0_px), min(left + _BLOCK_PX, x1_px)
                out[y0 - y0_px : y1 - y0_px, x0 - x0_px : x1 - x0_px] = block[
                    y0 - top : y1 - top, x0 - left : x1 - left
                ]
        return out

    def _block(self, i: int, j: int) -> Rgb:
        with self._lock:
            if (i, j) in self._blocks:
                self._blocks.move_to_end((i, j))
                return self._blocks[i, j]
            in_work = self._in_work.setdefault((i, j), threading.Lock())
        with in_work:
            with self._lock:
                if (i, j) in self._blocks:
                    return self._blocks[i, j]
            block = self._computed(i, j)
            with self._lock:
                self._blocks[i, j] = block
                self._in_work.pop((i, j), None)
                while sum(b.nbytes for b in self._blocks.values()) > _CACHE_BYTES:
                    self._blocks.popitem(last=False)
        return block

    def _computed(self, i: int, j: int) -> Rgb:
        height_px = min(_BLOCK_PX, self.shape[0] - i * _BLOCK_PX)
        width_px = min(_BLOCK_PX, self.shape[1] - j * _BLOCK_PX)
        y0_px, x0_px = 2 * i * _BLOCK_PX, 2 * j * _BLOCK_PX
        y1_px = min(y0_px + 2 * height_px, self._parent.shape[0])
        x1_px = min(x0_px + 2 * width_px, self._parent.shape[1])
        # an odd last row or column is averaged alone by `reduce`
        image = Image.fromarray(self._parent.read(y0_px, y1_px, x0_px, x1_px))
        return np.asarray(image.reduce(2))


def display_windows(levels: tuple[PixelWindow, ...]) -> tuple[PixelWindow, ...]:
    """The file's levels with halved ones in gaps over 4x and after the last, until it is small.

    A halved level's size is the file level's divided by a power of two and *rounded*, so that the
    ratio of sizes places its pixels to within half of one.
    """
    out: list[PixelWindow] = []
    for k, level in enumerate(levels):
        out.append(level)
        height_px, width_px, _ = level.shape
        halvings = 0
        while True:
            now = out[-1].shape
            if k + 1 < len(levels):
                below = levels[k + 1].shape
                if max(now[0] / below[0], now[1] / below[1]) <= _WIDEST_GAP:
                    break
            elif max(now) <= LARGEST_LAST_LEVEL_PX:
                break
            halvings += 1
            out.append(
                HalvedLevel(out[-1], _halved(height_px, halvings), _halved(width_px, halvings))
            )
    return tuple(out)


def _halved(size_px: int, times: int) -> int:
    return max(1, (size_px + 2 ** (times - 1)) // 2**times)

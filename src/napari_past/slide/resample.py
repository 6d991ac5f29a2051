"""Pixels of a regular grid at any µm/px out of one level, the same whatever window is asked for.

1. The output grid is cut into blocks whose corners are multiples of the block size in *absolute*
   output indices, so a pixel always belongs to the same block.
2. The source window of a block is its own extent plus the kernel's reach, a function of the block
   alone; what lies outside of the level is filled.
3. Each block is resized with the antialiased triangle filter of Pillow (``Image.resize``,
   ``BILINEAR``, float ``box``).
4. The blocks' needed parts are put together.

Since a block never depends on the window, two reads that overlap agree bit for bit. (Resizing the
window as a whole would not: Pillow holds ``box`` in single precision.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_past.slide.source import PixelWindow
from napari_past.types import Rgb

_BLOCK_PX = 128
_SOURCE_PX = 4096
"""Longest side of a source window that is held at once: 48 MiB."""


@dataclass(frozen=True)
class Axis:
    """One axis of the output grid: output pixel i covers level px
    [offset + i·step, offset + (i + 1)·step)."""

    offset: float
    step: float

    @property
    def aligned(self) -> bool:
        """Whether output pixels coincide with level pixels."""
        return abs(self.step - 1) < 1e-6 and abs(self.offset - round(self.offset)) < 1e-3

    def source_window(self, first: int, stop: int) -> tuple[int, int]:
        """Level px [start, stop) that output pixels [first, stop) depend on."""
        reach = math.ceil(max(self.step, 1.0)) + 1
        start = self.offset + first * self.step
        end = self.offset + stop * self.step
        return math.floor(start) - reach, math.ceil(end) + reach


def resampled(
    level: PixelWindow,
    y: Axis,
    x: Axis,
    row: int,
    column: int,
    height_px: int,
    width_px: int,
    fill: Callable[[], tuple[int, int, int]],
) -> Rgb:
    """Output pixels [row, row + height) x [column, column + width), uint8, (height, width, 3).

    Parameters
    ----------
    level
        Where the pixels come from.
    y, x
        How output indices map to level px.
    row, column
        First output index, any integer.
    fill
        Colour outside of the level; called only where it is needed.
    """
    if y.aligned and x.aligned:
        row0, column0 = row + round(y.offset), column + round(x.offset)
        return _filled(level, row0, row0 + height_px, column0, column0 + width_px, fill)
    out = np.empty((height_px, width_px, 3), np.uint8)
    # shrinking a lot, a block must still come from a bounded window
    block_px = _BLOCK_PX
    while block_px > 1 and block_px * max(y.step, x.step) > _SOURCE_PX:
        block_px //= 2
    rows = _spans(row, height_px, y.step, block_px)
    columns = _spans(column, width_px, x.step, block_px)
    for row0, row1 in rows:
        for column0, column1 in columns:
            y0_px, y1_px = y.source_window(row0, row1)
            x0_px, x1_px = x.source_window(column0, column1)
            window = _filled(level, y0_px, y1_px, x0_px, x1_px, fill)
            for r in range(row0, row1, block_px):
                for c in range(column0, column1, block_px):
                    block = _resized(window, y0_px, x0_px, y, x, r, c, block_px)
                    top, left = max(r, row), max(c, column)
                    bottom = min(r + block_px, row + height_px)
                    right = min(c + block_px, column + width_px)
                    out[top - row : bottom - row, left - column : right - column] = block[
                        top - r : bottom - r, left - c : right - c
                    ]
    return out


def _spans(first: int, count: int, step: float, block_px: int) -> list[tuple[int, int]]:
    """Runs of whole blocks that cover [first, first + count), each from a bounded source window."""
    start = first // block_px * block_px
    stop = -(-(first + count) // block_px) * block_px
    run_px = max(1, int(_SOURCE_PX / (step * block_px))) * block_px
    return [(i, min(i + run_px, stop)) for i in range(start, stop, run_px)]


def _resized(
    window: Rgb, y0_px: int, x0_px: int, y: Axis, x: Axis, row: int, column: int, block_px: int
) -> Rgb:
    top, bottom = y.source_window(row, row + block_px)
    left, right = x.source_window(column, column + block_px)
    source = window[top - y0_px : bottom - y0_px, left - x0_px : right - x0_px]
    box = (
        x.offset + column * x.step - left,
        y.offset + row * y.step - top,
        x.offset + (column + block_px) * x.step - left,
        y.offset + (row + block_px) * y.step - top,
    )
    image = Image.fromarray(np.ascontiguousarray(source))
    return np.asarray(image.resize((block_px, block_px), Image.Resampling.BILINEAR, box=box))


def _filled(
    level: PixelWindow,
    y0_px: int,
    y1_px: int,
    x0_px: int,
    x1_px: int,
    fill: Callable[[], tuple[int, int, int]],
) -> Rgb:
    """Window that may reach outside of the level, where it has the fill colour."""
    height_px, width_px, _ = level.shape
    top, bottom = max(y0_px, 0), min(y1_px, height_px)
    left, right = max(x0_px, 0), min(x1_px, width_px)
    inside = top < bottom and left < right
    if inside and (top, bottom, left, right) == (y0_px, y1_px, x0_px, x1_px):
        return level.read(y0_px, y1_px, x0_px, x1_px)
    window: npt.NDArray[np.uint8] = np.empty((y1_px - y0_px, x1_px - x0_px, 3), np.uint8)
    # By whole rows: pixel by pixel takes numpy ten times as long.
    row: npt.NDArray[np.uint8] = np.empty(window.shape[1:], np.uint8)
    row[:] = fill()
    window[:] = row
    if inside:
        window[top - y0_px : bottom - y0_px, left - x0_px : right - x0_px] = level.read(
            top, bottom, left, right
        )
    return window

"""Polygons laid on a grid of pixels, all at once and the same whatever block of it is asked for.

A scanline meets a polygon's edges in crossings: a pixel lies inside where more edges have been
crossed inwards than outwards to its left. So a running sum along the rows of crossings fills any
number of polygons (`filled`), and running sums of an image at the crossings add up its pixels
within each of them (`sums_within`). Positions are counted from the slide's corner, not the block's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import Outlines, PixelGrid

PARTS = 8
"""A pixel's coverage is counted in so many parts from left to right."""

Shape = tuple[int, int]


@dataclass(frozen=True)
class Crossings:
    """Where scanlines cross the edges of n polygons, m times."""

    polygon: npt.NDArray[np.intp]
    """(m,), which polygon's edge it is."""
    row: npt.NDArray[np.intp]
    """(m,), row of the block."""
    x_px: npt.NDArray[np.float64]
    """(m,), from the left side of the block's first pixel, 0 to the block's width."""
    sign: npt.NDArray[np.int64]
    """(m,), 1 where the polygon begins to the right of it, −1 where it ends."""


def lattice_of(grid: PixelGrid) -> tuple[tuple[float, float], tuple[int, int]]:
    """The slide's lattice that a grid is cut from: its shift (y, x), in pixels from the slide's
    corner, and the (row, column) of the grid's first pixel on it."""
    y_px, x_px = grid.y0_um / grid.mpp, grid.x0_um / grid.mpp
    # Blocks of one lattice must agree on the shift to the last bit.
    shift = round(y_px - np.rint(y_px), 6), round(x_px - np.rint(x_px), 6)
    return shift, (round(y_px - shift[0]), round(x_px - shift[1]))


def crossings(outlines: Outlines, grid: PixelGrid, shape: Shape, lines: int = 1) -> Crossings:
    """Crossings of the polygons' edges with `lines` scanlines through each row of a block.

    Parameters
    ----------
    outlines
        Polygons of either orientation, (x, y) in µm; under three vertices enclose nothing.
    grid, shape
        The block: where it lies, its height and width in pixels.
    """
    shift, first = lattice_of(grid)
    place = outlines.vertices_um.astype(np.float64) / grid.mpp
    x, y = place[:, 0] - shift[1], (place[:, 1] - shift[0]) * lines - 0.5
    lengths = np.diff(outlines.offsets)
    start, following = np.arange(len(x)), np.arange(1, len(x) + 1)
    some = lengths > 0
    following[outlines.offsets[1:][some] - 1] = outlines.offsets[:-1][some]
    y0, y1 = y[start], y[following]
    top = np.ceil(np.minimum(y0, y1)).astype(np.int64)
    bottom = np.ceil(np.maximum(y0, y1)).astype(np.int64)
    top = np.maximum(top, first[0] * lines)
    bottom = np.minimum(bottom, (first[0] + shape[0]) * lines)
    edge = np.flatnonzero(bottom > top)
    count = bottom[edge] - top[edge]
    total = int(count.sum())
    nth = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    line = np.repeat(top[edge], count) + nth
    edges = np.repeat(edge, count)
    slope = (x[following[edge]] - x[edge]) / (y1[edge] - y0[edge])
    across = x[edges] + (line - y0[edges]) * np.repeat(slope, count)
    polygon_of = np.repeat(np.arange(len(lengths)), lengths)
    # Downwards on the right side (y points down) is clockwise to the eye: then area is positive.
    area = x * y[following] - x[following] * y
    clockwise = np.bincount(polygon_of, area, len(lengths)) > 0
    upwards = np.where(y1 < y0, 1, -1) * np.where(clockwise[polygon_of], 1, -1)
    return Crossings(
        polygon=polygon_of[edges],
        row=line // lines - first[0],
        x_px=np.clip(across - first[1], 0, shape[1]),
        sign=upwards[edges].astype(np.int64),
    )


def filled(
    found: Crossings, amounts: npt.NDArray[np.integer], shape: Shape, soft: bool = False
) -> npt.NDArray[np.int32]:
    """Sum of the `amounts` (n,) of the polygons that hold each pixel, (Y, X) int32.

    Hard, a pixel belongs to the polygon that holds its centre. Soft, the part of the pixel that
    lies inside counts, and all sums are `PARTS` times as large for each scanline of a row.
    """
    width = shape[1] + 2
    given = found.sign * amounts[found.polygon]
    base = found.row * width
    if soft:
        column = found.x_px.astype(np.int64)
        within = np.rint((found.x_px - column) * PARTS).astype(np.int64)
        place = np.concatenate([base + column, base + column + 1])
        steps = np.concatenate([given * (PARTS - within), given * within])
    else:
        place, steps = base + first_column(found), given
    # Sums of whole numbers in float64 are exact.
    rise = np.bincount(place, steps, shape[0] * width).astype(np.int32).reshape(shape[0], width)
    np.cumsum(rise, axis=1, out=rise)
    return rise[:, : shape[1]]


def sums_within(found: Crossings, image: npt.NDArray, n: int) -> npt.NDArray[np.float64]:
    """Sum of `image` (Y, X) over the pixels whose centre each of n polygons holds, (n,)."""
    running = np.zeros((image.shape[0], image.shape[1] + 1))
    np.cumsum(image, axis=1, dtype=np.float64, out=running[:, 1:])
    before = running[found.row, first_column(found)]
    return np.asarray(np.bincount(found.polygon, -found.sign * before, n), np.float64)


def first_column(found: Crossings) -> npt.NDArray[np.int64]:
    """The first pixel whose centre lies right of each crossing, (m,)."""
    return np.ceil(found.x_px - 0.5).astype(np.int64)

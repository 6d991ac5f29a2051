"""Cells of a square of tissue as one instance: their mean vector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.bags.bag import Bag


def tile_means(bag: Bag, tile_um: float) -> ArrayBag:
    """The squares of a grid from the slide's corner that hold cells of a bag of one slide.

    Parameters
    ----------
    tile_um
        Side of a square.

    Returns
    -------
    ArrayBag
        Row by row; the vector of a square is the mean of its cells', its place its centre.
    """
    sums: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
    counts: dict[tuple[int, int], int] = {}
    for chunk in bag.chunks():
        squares = np.floor(chunk.places_um / tile_um).astype(np.int64)[:, ::-1]
        found, which = np.unique(squares, axis=0, return_inverse=True)
        order = np.argsort(which.ravel(), kind="stable")
        sizes = np.bincount(which.ravel(), minlength=len(found))
        starts = np.cumsum([0, *sizes[:-1]])
        # A few squares at a time: all vectors in double precision would be four times the chunk.
        for square, start, size in zip(map(tuple, found.tolist()), starts, sizes, strict=True):
            rows = chunk.vectors[order[start : start + size]]
            total = rows.sum(axis=0, dtype=np.float64)
            sums[square] = sums[square] + total if square in sums else total
            counts[square] = counts.get(square, 0) + int(size)
    squares_there = sorted(sums)
    vectors = np.zeros((len(squares_there), bag.dim), np.float16)
    for i, square in enumerate(squares_there):
        vectors[i] = sums[square] / counts[square]
    row_column = np.array(squares_there, np.float64).reshape(-1, 2)
    return ArrayBag(bag.name, vectors, (row_column[:, ::-1] + 0.5) * tile_um)

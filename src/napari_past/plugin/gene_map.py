"""A gene over the whole slide as a pyramid of pictures: the mean per bin, clear without cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_past.engine import GrowingArray
from napari_past.plugin.reader import LayerData
from napari_past.plugin.staining import Codes, Staining
from napari_past.space import image_placement
from napari_past.types import FloatArray

FINEST_BIN_UM = 8.0
"""About the space that one nucleus takes up in dense tissue."""
MOST_BINS = 2_000_000
"""Of the finest level; on slides that would need more, bins are larger."""
LARGEST_LAST_LEVEL_PX = 256


class Placed(Protocol):
    """Cells, or measured rows."""

    @property
    def centers_um(self) -> npt.NDArray[np.float64]:
        """(n, 2), (x, y) on the slide."""


@dataclass(frozen=True)
class _Level:
    bin_um: float
    shape: tuple[int, int]
    counts: npt.NDArray[np.float32]
    """Cells per bin, flat."""
    sums: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
    """Of the first and the second gene, flat."""
    rgba: npt.NDArray[np.uint8]
    """(Y, X, 4): what napari shows."""


class GeneMap:
    """Keeps counts and sums of its bins, so that new cells touch only theirs.

    Parameters
    ----------
    size_um
        (width, height) of the slide.
    """

    def __init__(self, size_um: tuple[float, float]) -> None:
        bin_um = FINEST_BIN_UM
        while math.prod(math.ceil(side / bin_um) for side in size_um) > MOST_BINS:
            bin_um *= 2
        n_levels = 1
        while max(size_um) / (bin_um * 2 ** (n_levels - 1)) > LARGEST_LAST_LEVEL_PX:
            n_levels += 1
        # Sizes are whole numbers of the coarsest bins: napari places levels by ratios of sizes.
        # It takes a list of one level for a stack, so there are always two.
        n_levels = max(n_levels, 2)
        coarsest = bin_um * 2 ** (n_levels - 1)
        width, height = (math.ceil(side / coarsest) for side in size_um)
        self.levels = tuple(
            _level(bin_um * 2**k, height * 2 ** (n_levels - 1 - k), width * 2 ** (n_levels - 1 - k))
            for k in range(n_levels)
        )
        self._bins = GrowingArray(np.int64)
        """Of each cell that had a value, whether or not it is counted now."""
        self._counted = 0
        """Cells in the counts: those that have a value of the gene in view."""
        self._summed: tuple[FloatArray | None, FloatArray | None] = (None, None)
        """Values that the sums are of."""
        self._occupied: list[Codes] | None = None
        """Bins with cells, by level; None where cells came since."""

    def show(self, table: Placed, shown: Staining) -> None:
        """Paint all cells that have a value anew, in another gene or other colours."""
        n = len(shown.values)
        if n < self._counted:
            self._forget()
        if self._place(table, n) < n:
            self._occupied = None
        bins, finest = self._bins.values[:n], self.levels[0]
        if self._occupied is None:
            for fine, coarse in pairwise(self.levels):
                coarse.counts[:] = _in_fours(fine.counts, coarse.shape)
            self._occupied = [np.flatnonzero(level.counts) for level in self.levels]
        values = (shown.first.values, None if shown.second is None else shown.second.values)
        for k, of_gene in enumerate(values):
            if of_gene is None or of_gene is self._summed[k]:
                continue
            finest.sums[k][:] = np.bincount(bins, np.nan_to_num(of_gene), len(finest.counts))
            for fine, coarse in pairwise(self.levels):
                coarse.sums[k][:] = _in_fours(fine.sums[k], coarse.shape)
        self._summed = values
        for level, occupied in zip(self.levels, self._occupied, strict=True):
            _paint(level, occupied, shown)

    def grow(self, table: Placed, shown: Staining) -> None:
        """Add the cells that have a value since, in the same gene and colours."""
        start = self._place(table, len(shown.values))
        self._occupied = None
        self._summed = (shown.first.values, None if shown.second is None else shown.second.values)
        bins = self._bins.values[start : len(shown.values)]
        for k, level in enumerate(self.levels):
            if k:
                bins = _parents(bins, self.levels[k - 1].shape[1])
            for sums, channel in zip(level.sums, (shown.first, shown.second), strict=True):
                if channel is not None:
                    np.add.at(sums, bins, np.nan_to_num(channel.values[start:]))
            if k:
                np.add.at(level.counts, bins, 1)
            _paint(level, np.unique(bins), shown)

    def layer(self, name: str) -> LayerData:
        """A multiscale RGBA image layer in µm that shares this map's pictures."""
        scale, translate = image_placement(self.levels[0].bin_um)
        arguments = {
            "name": name,
            "rgb": True,
            "multiscale": True,
            "scale": scale,
            "translate": translate,
            "units": ("um", "um"),
            "opacity": 0.9,
            "interpolation2d": "nearest",
        }
        return self.pictures, arguments, "image"

    @property
    def pictures(self) -> list[npt.NDArray[np.uint8]]:
        """(Y, X, 4) uint8 of each level, fine to coarse, painted in place."""
        return [level.rgba for level in self.levels]

    def _place(self, table: Placed, n: int) -> int:
        """Count cells up to the n-th in their bins; returns the first of them."""
        start, finest = self._counted, self.levels[0]
        new = table.centers_um[len(self._bins) : n]
        place = (new / finest.bin_um).astype(np.int64)
        self._bins.append(place[:, 1] * finest.shape[1] + place[:, 0])
        np.add.at(finest.counts, self._bins.values[start:n], 1)
        self._counted = n
        return start

    def _forget(self) -> None:
        """No cell has a value: a gene that is looked up begins anew."""
        for level in self.levels:
            level.counts[:] = 0
            level.rgba[:] = 0
        self._counted, self._summed = 0, (None, None)
        self._occupied = None


def _level(bin_um: float, height: int, width: int) -> _Level:
    n = height * width
    sums = (np.zeros(n, np.float32), np.zeros(n, np.float32))
    rgba = np.zeros((height, width, 4), np.uint8)
    return _Level(bin_um, (height, width), np.zeros(n, np.float32), sums, rgba)


def _in_fours(values: npt.NDArray[np.float32], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Sums over 2 x 2 neighbours of a flat grid that is twice as fine as `shape`."""
    grid = values.reshape(2 * shape[0], 2 * shape[1])
    rows = grid[::2] + grid[1::2]
    return (rows[:, ::2] + rows[:, 1::2]).ravel()


def _parents(bins: Codes, width: int) -> Codes:
    """The bins of half the resolution that hold those of a grid of `width` columns."""
    return (bins // width // 2) * (width // 2) + (bins % width) // 2


def _paint(level: _Level, bins: Codes, shown: Staining) -> None:
    palette = np.round(shown.palette() * 255).astype(np.uint8)
    counts = level.counts[bins]
    second = None if shown.second is None else level.sums[1][bins] / counts
    codes = shown.codes(level.sums[0][bins] / counts, second)
    level.rgba.reshape(-1, 4)[bins] = palette[codes]

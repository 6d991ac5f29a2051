"""The slides of one patient as one bag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from past_training.slide_level.bags.bag import CHUNK, Bag, Chunk


class Chained:
    """Bags one after the other; each of their slides keeps its places and has its own number.

    Parameters
    ----------
    bags
        At least one, with vectors of one size.
    """

    def __init__(self, name: str, bags: Sequence[Bag]) -> None:
        dims = {bag.dim for bag in bags}
        if len(dims) != 1:
            raise ValueError(f"the bags of {name} have vectors of {sorted(dims)} numbers.")
        self.name = name
        self.bags = tuple(bags)
        self.slides = tuple(slide for bag in bags for slide in bag.slides)
        self.n = sum(bag.n for bag in bags)
        self.dim = dims.pop()
        self._starts = np.cumsum([0, *(bag.n for bag in bags)])
        self._first_slides = np.cumsum([0, *(len(bag.slides) for bag in bags)])

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All instances in order; a chunk never reaches over the end of a bag."""
        for bag, first in zip(self.bags, self._first_slides, strict=False):
            for chunk in bag.chunks(size):
                yield _renumbered(chunk, int(first))

    def take(self, index: npt.NDArray[np.integer]) -> Chunk:
        """Some instances."""
        cuts = np.searchsorted(index, self._starts)
        parts = [
            _renumbered(bag.take(index[low:high] - start), int(first))
            for bag, start, first, low, high in zip(
                self.bags, self._starts, self._first_slides, cuts, cuts[1:], strict=False
            )
            if high > low
        ]
        return joined(parts, self.dim)


def joined(parts: Sequence[Chunk], dim: int) -> Chunk:
    """Chunks as one, in their order."""
    return Chunk(
        np.concatenate([np.zeros((0, dim), np.float16), *(p.vectors for p in parts)]),
        np.concatenate([np.zeros((0, 2)), *(p.places_um for p in parts)]),
        np.concatenate([np.zeros(0, np.int32), *(p.slide for p in parts)]),
    )


def _renumbered(chunk: Chunk, first: int) -> Chunk:
    slide = (chunk.slide + np.int32(first)).astype(np.int32)
    return Chunk(chunk.vectors, chunk.places_um, slide)

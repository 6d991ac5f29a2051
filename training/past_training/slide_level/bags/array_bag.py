"""A bag whose vectors are an array, in memory or mapped from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from past_training.slide_level.bags.bag import CHUNK, Chunk


class ArrayBag:
    """n instances in arrays.

    Parameters
    ----------
    vectors
        Floating (n, d); given as float16. A memory map is read where it is asked for.
    places_um
        float64 (n, 2), (x, y) in µm; None puts all at (0, 0).
    """

    def __init__(
        self,
        name: str,
        vectors: npt.NDArray[np.floating],
        places_um: npt.NDArray[np.floating] | None = None,
    ) -> None:
        if vectors.ndim != 2 or (places_um is not None and places_um.shape != (len(vectors), 2)):
            shape = None if places_um is None else places_um.shape
            raise ValueError(f"vectors {vectors.shape} and places {shape} must describe one bag.")
        self.name = name
        self._vectors = vectors
        self._places_um = places_um

    @property
    def slides(self) -> tuple[str, ...]:
        """The bag's own name: it is one slide."""
        return (self.name,)

    @property
    def n(self) -> int:
        return len(self._vectors)

    @property
    def dim(self) -> int:
        return int(self._vectors.shape[1])

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All instances in order."""
        for start in range(0, self.n, size):
            yield self._chunk(slice(start, start + size))

    def take(self, index: npt.NDArray[np.integer]) -> Chunk:
        """Some instances."""
        return self._chunk(index)

    def _chunk(self, rows: slice | npt.NDArray[np.integer]) -> Chunk:
        vectors = np.asarray(self._vectors[rows], np.float16)
        places = self._places_um
        places_um = (
            np.zeros((len(vectors), 2)) if places is None else np.asarray(places[rows], np.float64)
        )
        return Chunk(vectors, places_um, np.zeros(len(vectors), np.int32))


def mapped_bag(name: str, vectors: Path, places_um: Path) -> ArrayBag:
    """The bag in two ``.npy`` files, which stay on disk."""
    return ArrayBag(name, np.load(vectors, mmap_mode="r"), np.load(places_um, mmap_mode="r"))

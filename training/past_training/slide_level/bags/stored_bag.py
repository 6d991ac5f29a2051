"""The cells of a slide as they lie in the result store, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.engine import Store
from napari_past.engine.plan import StoreKey
from napari_past.errors import PastError
from napari_past.types import TileSpec
from past_training.slide_level.bags.bag import CHUNK, Chunk
from past_training.slide_level.bags.chained import joined


class ClearedCache(PastError):
    """Cells that were encoded are not there any more."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Some cells of {name} are no longer in the cache as they were prepared; give the "
            f"command `past-train slide prepare` again (with --copy it keeps a copy of its own)."
        )


class StoredBag:
    """n cells in tiles of one store, in the plan's order.

    Parameters
    ----------
    tiles
        Those that could be read when it was prepared.
    sizes
        (t,), cells of each tile.
    kept
        (sum of sizes,), which cells count: those inside the regions and outside Ignore* ones, where
        the slide can be read.
    root
        The cache's folder; None for the user's.
    """

    def __init__(
        self,
        name: str,
        key: StoreKey,
        tiles: Sequence[TileSpec],
        sizes: Sequence[int],
        kept: npt.NDArray[np.bool_],
        dim: int,
        root: Path | None = None,
    ) -> None:
        self.name = name
        self.slides = (name,)
        self.key = key
        self.tiles = tuple(tiles)
        self.sizes = tuple(sizes)
        self.kept = kept
        self.dim = dim
        self._root = root
        self._first = np.cumsum([0, *self.sizes])
        before = np.concatenate([[0], np.cumsum(kept)])
        self._starts = before[self._first]
        self.n = int(before[-1])

    def check_there(self) -> None:
        """Raise `ClearedCache` where a tile is gone; nothing is read."""
        if len(self._store.finished(self.tiles)) < len(self.tiles):
            raise ClearedCache(self.name)

    @property
    def stored_bytes(self) -> int:
        """Of the tiles' files."""
        folder = self._store.folder
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """All cells in order; tiles are joined up to the size."""
        waiting: list[Chunk] = []
        held = 0
        for i in range(len(self.tiles)):
            part = self._tile(i)
            while len(part):
                fits = _part(part, slice(0, size - held))
                waiting.append(fits)
                held += len(fits)
                part = _part(part, slice(len(fits), None))
                if held == size:
                    yield joined(waiting, self.dim)
                    waiting, held = [], 0
        if held:
            yield joined(waiting, self.dim)

    def take(self, index: npt.NDArray[np.integer]) -> Chunk:
        """Some cells; tiles without any of them are not read."""
        cuts = np.searchsorted(index, self._starts)
        parts = [
            _part(self._tile(i), index[cuts[i] : cuts[i + 1]] - self._starts[i])
            for i in np.flatnonzero(np.diff(cuts)).tolist()
        ]
        return joined(parts, self.dim)

    @cached_property
    def _store(self) -> Store:
        return Store(self.key, self._root, trimmed=False)

    def _tile(self, i: int) -> Chunk:
        result = self._store.read(self.tiles[i])
        if result is None or result.embeddings.shape != (self.sizes[i], self.dim):
            raise ClearedCache(self.name)
        keep = self.kept[self._first[i] : self._first[i + 1]]
        places_um = result.cells.centers_um[keep]
        vectors = np.asarray(result.embeddings[keep], np.float16)
        return Chunk(vectors, places_um, np.zeros(len(places_um), np.int32))


def _part(chunk: Chunk, rows: slice | npt.NDArray[np.integer]) -> Chunk:
    return Chunk(chunk.vectors[rows], chunk.places_um[rows], chunk.slide[rows])

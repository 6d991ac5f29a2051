"""In which order the patches of an epoch are seen, and by whom: arithmetic on counts, no reading.

1. The shards of all sections are shuffled. Laid end to end, the patches in them that hold nuclei
   form a line of n patches.
2. Rank r of w takes the stretch [r·n/w, (r + 1)·n/w) of it: ranks are disjoint, together complete,
   differ by one patch at most, and share two shards at most with others.
3. A stretch is cut into **pools** of a few shards; within a pool patches are shuffled. A pool is
   what lies in memory, so memory does not depend on the size of the dataset.
4. Batches are cut from the sequence of shuffled pools, the same number for every rank.

Everything follows from (seed, epoch, rank, world), so any step of any epoch can be started at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

# Streams of random numbers that must differ begin with numbers that differ: numpy takes (1, 2) and
# (1, 2, 0) for the same seed.
_SHARDS, _PATCHES = 1, 2


@dataclass(frozen=True)
class Piece:
    """A range of the patches with nuclei of one shard."""

    section: int
    """Position among the dataset's selected sections."""
    shard: int
    first: int
    """Counted over the patches with nuclei of the shard."""
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first


@dataclass(frozen=True)
class Pool:
    """Pieces that are in memory together."""

    pieces: tuple[Piece, ...]
    first: int
    """Position of its first patch in the rank's sequence."""
    number: int

    def __len__(self) -> int:
        return sum(len(piece) for piece in self.pieces)


@dataclass(frozen=True)
class EpochOrder:
    """One rank's patches in one epoch.

    Parameters
    ----------
    filled
        For each section, for each of its shards: how many patches hold a nucleus of a row that is
        seen.
    """

    filled: Sequence[Sequence[int]]
    seed: int
    epoch: int
    rank: int
    world: int
    batch_patches: int
    pool_shards: int
    shuffle: bool
    drop_last: bool

    @property
    def total(self) -> int:
        """Patches with such nuclei, over all ranks."""
        return sum(map(sum, self.filled))

    @property
    def bounds(self) -> IntArray:
        """(steps + 1,) where each batch of this rank begins in its sequence, the same length for
        every rank. Without `drop_last` batches are as even as can be, none larger than asked."""
        size = self.batch_patches
        if self.drop_last:
            return np.arange(self.total // self.world // size + 1, dtype=np.int64) * size
        first, stop = self._stretch()
        steps = math.ceil(math.ceil(self.total / self.world) / size)
        return np.arange(steps + 1, dtype=np.int64) * (stop - first) // max(steps, 1)

    def _stretch(self) -> tuple[int, int]:
        total = self.total
        return self.rank * total // self.world, (self.rank + 1) * total // self.world

    def pools(self) -> Iterator[Pool]:
        """The pools of this rank, in order."""
        held: list[Piece] = []
        first = number = 0
        for piece in self._pieces():
            held.append(piece)
            if len(held) == self.pool_shards:
                yield (pool := Pool(tuple(held), first, number))
                first, number, held = first + len(pool), number + 1, []
        if held:
            yield Pool(tuple(held), first, number)

    def shuffled(self, pool: Pool) -> IntArray:
        """(n,) the order in which a pool's patches are seen, counted over its pieces end to end."""
        if not self.shuffle:
            return np.arange(len(pool), dtype=np.int64)
        rng = np.random.default_rng((_PATCHES, self.seed, self.epoch, self.rank, pool.number))
        return rng.permutation(len(pool))

    def _pieces(self) -> Iterator[Piece]:
        line = [(s, k, n) for s, shards in enumerate(self.filled) for k, n in enumerate(shards)]
        order = np.arange(len(line))
        if self.shuffle:
            order = np.random.default_rng((_SHARDS, self.seed, self.epoch)).permutation(len(line))
        low, high = self._stretch()
        end = 0
        for section, shard, count in (line[i] for i in order):
            begin, end = end, end + count
            first, stop = max(low, begin), min(high, end)
            if first < stop:
                yield Piece(section, shard, first - begin, stop - begin)

"""The vectors of a table's cells as they are at one moment, for any thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.floating]


class VectorRows:
    """Reads blocks that a table goes on filling: rows that are there never change.

    Parameters
    ----------
    blocks
        Each (b, d), all as long as the first; the last may have room that is not used yet.
    n
        Rows there are.
    """

    def __init__(self, blocks: Sequence[Block], n: int) -> None:
        self._blocks, self._n = tuple(blocks), n
        self._of_block = len(blocks[0]) if blocks else 1

    def __len__(self) -> int:
        return self._n

    def take(self, index: npt.NDArray[np.integer]) -> Block:
        """(m, d), a copy of some rows."""
        which = np.asarray(index) // self._of_block
        # Each block is asked once, whatever the order of the rows.
        rows = np.empty((len(which), self._blocks[0].shape[1]), self._blocks[0].dtype)
        for k in np.unique(which):
            of_block = which == k
            rows[of_block] = self._blocks[k][index[of_block] - k * self._of_block]
        return rows

    def pieces(self, start: int = 0) -> Iterator[Block]:
        """The rows from `start` on, (b, d) at a time, without a copy."""
        for k, block in enumerate(self._blocks):
            first = k * self._of_block
            piece = block[max(start - first, 0) : max(self._n - first, 0)]
            if len(piece):
                yield piece

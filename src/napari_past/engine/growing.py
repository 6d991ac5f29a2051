"""Arrays that grow."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_GROWTH = 1.5


class GrowingArray:
    """Rows appended in amortised constant time; `values` is a view of those there are.

    Rows that are there never change, so that another thread may read a view while rows are added.
    """

    def __init__(self, dtype: npt.DTypeLike, columns: int | None = None) -> None:
        self._shape = () if columns is None else (columns,)
        self._room = np.empty((0, *self._shape), dtype)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def append(self, rows: np.ndarray) -> None:
        wanted = self._n + len(rows)
        if wanted > len(self._room):
            room = np.empty((max(wanted, math.ceil(_GROWTH * self._n)), *self._shape),
                            self._room.dtype)  # fmt: skip
            room[: self._n] = self.values
            self._room = room
        self._room[self._n : wanted] = rows
        self._n = wanted

    @property
    def values(self) -> np.ndarray:
        """(n, ...), the rows of now; rows that are added later are not in it."""
        return self._room[: self._n]

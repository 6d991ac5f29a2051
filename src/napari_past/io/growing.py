"""Arrays whose length is not known while they are filled, kept in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_past.io.outlines import thinned

_CHECKED_FROM, _FEW = 50_000_000, 0.01
"""A table of this many values must have this share of them told."""
_FEW_TEXTS = 10_000


def joined(blocks: list[npt.NDArray], none: npt.NDArray) -> npt.NDArray:
    """The blocks as one array, each given back as soon as it is copied; `none` where there are
    none."""
    if not blocks:
        return none
    whole = np.empty((sum(map(len, blocks)), *blocks[0].shape[1:]), blocks[0].dtype)
    start = 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        whole[start : start + len(block)] = block
        start += len(block)
    return whole


class GrowingColumns:
    """Numbers by name, of one row after the other; NaN where a row has none of a name."""

    def __init__(self, names: Sequence[str] | None, dtype: type[np.floating]) -> None:
        """Without `names`, every name that comes is a column."""
        self.names: list[str] = list(names or ())
        self._open = names is None
        self._known = set(self.names)
        self._dtype = dtype
        self._blocks: list[npt.NDArray[np.floating]] = []
        self._rows = self._told = 0

    def add(self, rows: Sequence[Mapping[str, float]]) -> bool:
        """Take the rows; False where nearly all values of a large table would be missing."""
        if self._open:
            self._told += sum(len(row) for row in rows)
            new = dict.fromkeys(name for row in rows for name in row if name not in self._known)
            self.names += new
            self._known |= set(new)
            values = (self._rows + len(rows)) * len(self.names)
            if values > _CHECKED_FROM and self._told < _FEW * values:
                return False
        self._rows += len(rows)
        missing = float("nan")
        flat = [row.get(name, missing) for row in rows for name in self.names]
        with np.errstate(over="ignore"):
            block = np.array(flat, dtype=np.float64).astype(self._dtype)
        self._blocks.append(block.reshape(len(rows), len(self.names)))
        return True

    def matrix(self) -> npt.NDArray[np.floating]:
        """(rows, names); what was taken is handed over."""
        width = len(self.names)
        # Early blocks are narrower where names came later.
        for i, block in enumerate(self._blocks):
            if block.shape[1] < width:
                missing = np.full((len(block), width - block.shape[1]), np.nan, self._dtype)
                self._blocks[i] = np.concatenate([block, missing], axis=1)
        return joined(self._blocks, np.zeros((0, width), self._dtype))


class GrowingTexts:
    """Texts by name, of one row after the other; None where a row has none of a name."""

    def __init__(self) -> None:
        self._columns: dict[str, list[str | None]] = {}
        self._same: dict[str, str] = {}
        self._rows = self._told = 0

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def add(self, rows: Sequence[Mapping[str, str]]) -> bool:
        """Take the rows; False where nearly all values of a large table would be missing."""
        self._told += sum(len(row) for row in rows)
        for name in dict.fromkeys(name for row in rows for name in row):
            self._columns.setdefault(name, [None] * self._rows)
        values = (self._rows + len(rows)) * len(self._columns)
        if values > _CHECKED_FROM and self._told < _FEW * values:
            return False
        self._rows += len(rows)
        for name, column in self._columns.items():
            column += [self._kept(row.get(name)) for row in rows]
        return True

    def _kept(self, text: str | None) -> str | None:
        """One object for equal texts, as long as they are few."""
        if text is None or len(self._same) >= _FEW_TEXTS:
            return self._same.get(text, text) if text is not None else None
        return self._same.setdefault(text, text)

    def column(self, name: str) -> list[str | None]:
        """(rows,), the texts of a name."""
        return self._columns.get(name, [None] * self._rows)


class GrowingOutlines:
    """Polygons of one cell after the other."""

    def __init__(self) -> None:
        self._blocks: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []
        self.any = False

    def add(self, polygons_um: Sequence[npt.NDArray[np.float64] | None]) -> None:
        """Take polygons, each (k, 2) in µm, or None for a cell without."""
        thin = [np.zeros((0, 2)) if p is None else thinned(p) for p in polygons_um]
        lengths = np.array([len(p) for p in thin], np.int64)
        vertices = np.concatenate(thin) if thin else np.zeros((0, 2))
        self._blocks.append((vertices.astype(np.float32), lengths))
        self.any = self.any or len(vertices) > 0

    def padded(self) -> npt.NDArray[np.float32]:
        """(n, K, 2) float32, NaN after each one's last vertex; what was taken is handed over."""
        blocks, self._blocks = self._blocks, []
        n = sum(len(lengths) for _, lengths in blocks)
        width = max((int(lengths.max(initial=0)) for _, lengths in blocks), default=0)
        whole = np.empty((n, max(width, 1), 2), np.float32)
        start = 0
        blocks.reverse()
        while blocks:
            vertices, lengths = blocks.pop()
            part = whole[start : start + len(lengths)]
            part[:] = np.nan
            part[np.arange(whole.shape[1]) < lengths[:, None]] = vertices
            start += len(lengths)
        return whole

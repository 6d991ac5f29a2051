"""Which of somebody's cells a cell on the slide is, and what came with it. Knows no Qt."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_past.cells.brought import BroughtCells

MOST_TEXT = 60
"""Letters of a text that are told."""


class BroughtRows:
    """Finds brought cells again by their places, which go through the engine to the bit."""

    def __init__(self, brought: BroughtCells) -> None:
        self._brought = brought
        centers = brought.found.centers_um
        self._order = np.lexsort((centers[:, 1], centers[:, 0]))
        self._x = centers[self._order, 0]

    def row(self, center_um: npt.NDArray[np.float64]) -> int:
        """The row of the cell with this centre (2,), (x, y); of several in one place the first.

        −1 where no cell was brought there.
        """
        x, y = center_um.tolist()
        low, high = np.searchsorted(self._x, x, "left"), np.searchsorted(self._x, x, "right")
        rows = self._order[low:high]
        found = rows[self._brought.found.centers_um[rows, 1] == y]
        return int(found.min()) if len(found) else -1

    def id(self, row: int) -> str:
        """The cell's own id; empty where it has none."""
        ids = self._brought.found.ids
        return ids[row] if ids and row >= 0 else ""

    def told(self, row: int) -> tuple[tuple[str, str], ...]:
        """Names and texts of what came with a cell, but for what is empty or not a number."""
        if row < 0:
            return ()
        texts = [(name, _text(values[row])) for name, values in self._brought.columns.items()]
        return tuple((name, text) for name, text in texts if text)


def _text(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{value:.4g}"
    text = "" if value is None else str(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"

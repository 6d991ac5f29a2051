"""The class of each analysed cell, in arrays that grow with the table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.engine import CellTable, TypedCells
from napari_past.engine.growing import GrowingArray
from napari_past.model.classifier import ClassifiedCells
from napari_past.quality import QualityMask


class ClassedCells:
    """Of the first cells of a table, those that are classified by now.

    Parameters
    ----------
    names
        The classes as they were when the cells were classified.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.names = names
        self._code = GrowingArray(np.int32)
        self._probability, self._margin = GrowingArray(np.float32), GrowingArray(np.float32)
        self._masked: tuple[QualityMask, npt.NDArray[np.bool_]] | None = None

    def __len__(self) -> int:
        return len(self._code)

    def append(
        self,
        code: npt.NDArray[np.int32],
        probability: npt.NDArray[np.float32],
        margin: npt.NDArray[np.float32],
    ) -> None:
        """The next cells, (m,) each."""
        self._code.append(code)
        self._probability.append(probability)
        self._margin.append(margin)

    @property
    def types(self) -> TypedCells:
        """The class of each cell, and in place of a margin its probability."""
        return TypedCells(self.names, self._code.values, self._probability.values)

    @property
    def margin(self) -> npt.NDArray[np.float32]:
        """(n,), the probability less that of the second class."""
        return self._margin.values

    def take(self, index: npt.NDArray[np.intp]) -> ClassifiedCells:
        """Some of them."""
        return ClassifiedCells(
            self.names,
            self._code.values[index],
            self._probability.values[index],
            self._margin.values[index],
        )

    def counts(
        self, least: float, mask: QualityMask | None, table: CellTable
    ) -> tuple[npt.NDArray[np.intp], int]:
        """Cells of each class (c,), and uncertain ones, of all that count.

        Parameters
        ----------
        least
            Cells whose class is less probable are uncertain.
        mask
            Cells in it do not count, as scores leave them out.
        table
            Their own.
        """
        there = ~self.left_out(mask, table)
        sure = self._probability.values >= least
        counts = np.bincount(self._code.values[sure & there], minlength=len(self.names))
        return counts, int((~sure & there).sum())

    def left_out(self, mask: QualityMask | None, table: CellTable) -> npt.NDArray[np.bool_]:
        """(n,), whether each lies where nothing is scored."""
        n = len(self)
        if mask is None:
            return np.zeros(n, np.bool_)
        if self._masked is None or self._masked[0] is not mask or len(self._masked[1]) < n:
            self._masked = (mask, mask.kind_at(table.centers_um[:n]) > 0)
        return self._masked[1][:n]

    def told(self, cell: int) -> str:
        """A cell's class, as "Tumour, probability 0.83"; empty where it has none."""
        if not 0 <= cell < len(self):
            return ""
        name = self.names[self._code.values[cell]]
        return f"{name}, probability {self._probability.values[cell]:.2f}"

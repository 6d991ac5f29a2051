"""Which cells of a table the labels speak of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.engine import CellTable
from napari_past.plugin.classing.labels import ClassLabels
from napari_past.plugin.pointer import nearest_cell
from napari_past.types import INCLUDE, Region

REACH_UM = 3.0
"""Half a small nucleus: another detector puts the centre of the same nucleus a little elsewhere."""


@dataclass(frozen=True, eq=False)
class LabelledCells:
    """Rows of a table with the class that the user gave them."""

    index: npt.NDArray[np.intp]
    """(m,), ascending."""
    code: npt.NDArray[np.int32]
    """(m,), places among the names."""
    act: npt.NDArray[np.int32]
    """(m,): the area that labelled the cell; −1 where it was clicked."""
    missed: int
    """Clicks on no cell of the table: their tiles are not analysed yet, or with other cells."""

    def __len__(self) -> int:
        return len(self.index)

    def same_as(self, other: LabelledCells | None) -> bool:
        """Whether the same cells have the same classes."""
        return (
            other is not None
            and np.array_equal(self.index, other.index)
            and np.array_equal(self.code, other.code)
            and np.array_equal(self.act, other.act)
        )


def labelled_cells(labels: ClassLabels, table: CellTable) -> LabelledCells:
    """The cells of a table that are labelled, each once; a click on a cell outdoes areas."""
    code_of = np.full(len(table), -1, np.int32)
    act = np.full(len(table), -1, np.int32)
    for k, area in enumerate(labels.areas):
        region = Region("area", INCLUDE, area.polygon_um)
        near = table.in_rect(region.bounds)
        inside = near[region.contains(table.centers_um[near])]
        code_of[inside], act[inside] = area.code, k
    missed = 0
    for place in labels.places:
        cell = nearest_cell(table, np.array([place.x_um, place.y_um]), REACH_UM)
        if cell is None:
            missed += 1
        else:
            code_of[cell], act[cell] = place.code, -1
    index = np.flatnonzero(code_of >= 0)
    return LabelledCells(index, code_of[index], act[index], missed)

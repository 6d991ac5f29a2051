"""The cells of a virtual stain and how they are drawn: a snapshot that any thread may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.engine import CellTable
from napari_past.plugin.staining import Staining
from napari_past.quality import QualityMask
from napari_past.stain import classes
from napari_past.stain.compartments import (
    CellShapes,
    Compartment,
    cell_shapes,
    compartment_of,
)
from napari_past.stain.virtual import (
    CLASS_DENSITIES,
    REACH_UM,
    class_densities,
    value_densities,
)
from napari_past.types import Cutoffs, FoundCells, Outlines, PixelGrid, Rect

Measure = Literal["classes", "cutoffs", "limits"]
"""What a cell's DAB follows: its class; its value between the cut-offs; its value between the
limits of the colours."""


@dataclass(frozen=True)
class NearCells:
    """The m cells that matter to a block: where they lie, whatever is known of them."""

    index: npt.NDArray[np.intp]
    """(m,), their rows."""
    cells: FoundCells
    shapes: CellShapes | None
    """Their borders, where these are drawn."""


@dataclass(frozen=True)
class VirtualCells:
    """n cells, in the order of their table; its arrays never change."""

    subject: str
    """As "ERBB2 · past-mini"."""
    compartment: Compartment
    measure: Measure
    cutoffs: Cutoffs | None
    limits: tuple[float, float]
    values: npt.NDArray[np.float32]
    centers_um: npt.NDArray[np.float64]
    outlines: Outlines
    areas_um2: npt.NDArray[np.float32]
    unlike: npt.NDArray[np.float32]
    """(n,), above 1 the cell looks unlike the training's; NaN is not known."""
    mask: QualityMask | None
    """Cells in it are not scored."""
    places: frozenset[tuple[int, int]]
    """(column, row) of the tiles whose cells all have a value."""
    tile_um: float

    def density(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """DAB optical density (m,) of some cells; NaN where there is no value or class."""
        values = self.values[index]
        if self.measure == "limits" or self.cutoffs is None:
            low, high = self.limits
            share = (values.astype(np.float64) - low) / max(high - low, 1e-9)
            return np.clip(share, 0, 1) * CLASS_DENSITIES[-1]
        if self.measure == "classes":
            return class_densities(classes(values, self.cutoffs))
        return value_densities(values, self.cutoffs)

    def unreliable(self, index: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Which of some cells (m,) are unlike the training, or lie where nothing is scored."""
        flagged = self.unlike[index] > 1
        if self.mask is not None:
            flagged |= self.mask.kind_at(self.centers_um[index]) > 0
        return np.asarray(flagged)

    def near(self, rect: Rect, drawn: bool, before: NearCells | None = None) -> NearCells:
        """The cells that matter to the pixels of a rectangle.

        Parameters
        ----------
        drawn
            Whether outlines are drawn; else there are none.
        before
            What this gave for the same rectangle when there were as many cells or fewer; where the
            same cells are near, it still holds.
        """
        index = np.flatnonzero(_outset(rect, REACH_UM).contains(self.centers_um))
        bordered = drawn and self.compartment != "nucleus"
        known = before is not None and (before.shapes is not None or not bordered)
        if before is not None and known and np.array_equal(before.index, index):
            return before
        if drawn:
            outlines = self.outlines.take(index)
        else:
            outlines = Outlines(np.zeros((0, 2), np.float32), np.zeros(len(index) + 1, np.int64))
        cells = FoundCells(self.centers_um[index], outlines, self.areas_um2[index])
        return NearCells(index, cells, cell_shapes(cells) if bordered else None)

    def missing(self, grid: PixelGrid, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Pixels (Y, X) of a block in tiles that were not analysed."""
        rows, columns = (
            np.floor((start + (np.arange(size) + 0.5) * grid.mpp) / self.tile_um).astype(int)
            for start, size in ((grid.y0_um, shape[0]), (grid.x0_um, shape[1]))
        )
        row0, column0 = int(rows[0]), int(columns[0])
        undone = np.array(
            [
                [(column, row) not in self.places for column in range(column0, columns[-1] + 1)]
                for row in range(row0, rows[-1] + 1)
            ]
        )
        if not undone.any():
            return np.zeros(shape, np.bool_)
        return undone[np.ix_(rows - row0, columns - column0)]

    def outdated(self, before: VirtualCells | None) -> list[Rect] | None:
        """Where pixels that were drawn before no longer hold; None is everywhere."""
        if before is None or self._look() != before._look() or self.mask is not before.mask:
            return None
        n = min(len(self.values), len(before.values))
        if not _same_start(self.centers_um, before.centers_um, n):
            return None
        if not _same_start(self.values, before.values, n):
            return None
        size = self.tile_um
        return [
            _outset(Rect(column * size, row * size, size, size), REACH_UM)
            for column, row in self.places ^ before.places
        ]

    def _look(self) -> tuple[object, ...]:
        limits = self.limits if self.measure == "limits" else None
        return self.subject, self.compartment, self.measure, self.cutoffs, limits, self.tile_um


def virtual_cells(
    table: CellTable, shown: Staining, mask: QualityMask | None
) -> VirtualCells | None:
    """A snapshot of the cells as the colours show them; None before there are any.

    Parameters
    ----------
    mask
        Cells in it are hatched; None where everything is scored.
    """
    tiles = table.tiles
    if not tiles:
        return None
    measure: Measure = "limits"
    if shown.cutoffs is not None:
        measure = "classes" if shown.as_classes else "cutoffs"
    n, size_um = len(shown.values), tiles[0].size_um
    places = {(tile.column, tile.row) for tile in tiles}
    waiting = np.floor(table.centers_um[n:] / size_um).astype(int)
    places -= {(column, row) for column, row in np.unique(waiting, axis=0).tolist()}
    outlines = table.outlines
    return VirtualCells(
        subject=f"{shown.first.name} · {table.model.name}",
        compartment=compartment_of(shown.resolved.marker),
        measure=measure,
        cutoffs=shown.cutoffs,
        limits=shown.limits,
        values=shown.values,
        centers_um=table.centers_um[:n],
        outlines=Outlines(outlines.vertices_um, outlines.offsets[: n + 1]),
        areas_um2=table.areas_um2[:n],
        unlike=table.unlike_training[:n],
        mask=mask,
        places=frozenset(places),
        tile_um=size_um,
    )


def _same_start(now: np.ndarray, before: np.ndarray, n: int) -> bool:
    """Whether both begin with the same n rows; memory that both share is not looked at."""
    if np.shares_memory(now[:1], before[:1]):
        return True
    return np.array_equal(now[:n], before[:n], equal_nan=True)


def _outset(rect: Rect, margin_um: float) -> Rect:
    return Rect(
        rect.x_um - margin_um,
        rect.y_um - margin_um,
        rect.width_um + 2 * margin_um,
        rect.height_um + 2 * margin_um,
    )

"""Which cells of a slide are worth labelling next."""

from __future__ import annotations

import numpy as np

from napari_past.engine import CellTable
from napari_past.model.classifier import suggest
from napari_past.plugin.classing.classed import ClassedCells
from napari_past.plugin.classing.labelled_cells import LabelledCells
from napari_past.quality import QualityMask

SUGGESTED = 12
"""At once; other labels give others."""
MOST_LOOKED_AT = 4000
"""Of the least certain cells: those that one may suggest."""
MOST_KNOWN = 400
"""Labelled cells that others are compared with."""


def suggested_cells(
    cells: ClassedCells, labelled: LabelledCells, table: CellTable, mask: QualityMask | None
) -> list[int]:
    """Rows of the table, the best first; at most `SUGGESTED`.

    Costs the least certain cells, not the slide: a viewer asks for it in its GUI thread.

    Parameters
    ----------
    mask
        Cells in it are not suggested.
    """
    n = len(cells)
    given = labelled.index[labelled.index < n]
    free = ~cells.left_out(mask, table)
    free[given] = False
    candidates = np.flatnonzero(free)
    if len(candidates) > MOST_LOOKED_AT:
        least = np.argpartition(cells.margin[candidates], MOST_LOOKED_AT)[:MOST_LOOKED_AT]
        candidates = np.sort(candidates[least])
    # Of painted regions an even sample will do.
    given = given[:: max(1, len(given) // MOST_KNOWN)]
    index = np.concatenate([given, candidates])
    vectors, known = table.vectors.take(index), np.arange(len(given))
    return [int(cell) for cell in index[suggest(vectors, cells.take(index), known, SUGGESTED)]]

"""The cells of a model on measured rows: those that lie in a spot, or the measured cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_past.engine import Cells, Workers, predict
from napari_past.model import Model
from napari_past.model.retrieval import Neighbours
from napari_past.spatial.membership import assigned, nucleus_places_um, row_means
from napari_past.spatial.section import Points
from napari_past.types import FoundCells, Outlines, Rect
from napari_past.validation.predictor import NOBODY, Watch
from napari_past.validation.tissue import IntArray, Tissue

_GENES_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class RowCells:
    """Encoded cells, by the rows that they belong to: any gene of any row on demand."""

    model: Model
    vectors: npt.NDArray[np.floating]
    """(n, d), the tower's output for each cell that belongs to a row; by row."""
    row: IntArray
    """(n,) ascending: the place of each among the tissue's rows."""
    n_rows: int

    def expression(self, genes: Sequence[str]) -> npt.NDArray[np.float32]:
        """What the model predicts for each row, float32 (k, len(genes)): the mean over its cells;
        NaN for a row without a cell.

        Parameters
        ----------
        genes
            Symbols of the model.
        """
        known = self._neighbours if self.model.needs_neighbours(genes) else None
        result = np.empty((self.n_rows, len(genes)), np.float32)
        for start in range(0, len(genes), _GENES_AT_ONCE):
            part = slice(start, start + _GENES_AT_ONCE)
            values = self.model.expression(self.vectors, genes[part], known)
            result[:, part] = row_means(values, self.row, self.n_rows)
        return result

    def mean_vectors(self) -> npt.NDArray[np.float32]:
        """Mean of the vectors of each row's cells, float32 (k, d); NaN for a row without one."""
        return row_means(self.vectors, self.row, self.n_rows)

    @cached_property
    def _neighbours(self) -> Neighbours:
        """In the model's bank, whatever genes are asked for."""
        return self.model.neighbours(self.vectors)


def row_cells(
    tissue: Tissue, model: Model, watch: Watch = NOBODY, workers: Workers | None = None
) -> RowCells:
    """Find or take the cells of a tissue's rows and encode them, through the engine and its store.

    A single cell is encoded at its own nucleus. In spots the nuclei of the source are taken, else
    those that a run over the slide finds: what the viewer has analysed is not computed again.

    Raises
    ------
    Cancelled and what `napari_past.predict` raises.
    """
    section, spots = tissue.section, cKDTree(tissue.row_um)
    spot_um = section.spot_diameter_um
    if spot_um is not None and section.nuclei_um is None:
        cells = _computed(predict(tissue.slide, model, _around(tissue)), watch, workers)
        away_um, row = spots.query(cells.centers_um)
        index = np.flatnonzero(away_um <= spot_um / 2)
        index = index[np.argsort(row[index], kind="stable")]
        row = row[index]
    else:
        if spot_um is None:
            places = nucleus_places_um(section)[tissue.rows]
            of = np.arange(len(places), dtype=np.int64)
        else:
            assert section.nuclei_um is not None
            places, of = assigned(section.nuclei_um, spots, spot_um / 2)
        cells = _computed(predict(tissue.slide, model, cells=_named(places)), watch, workers)
        # The engine gives them tile by tile; their names tell which is which.
        given = np.array([int(name) for name in cells.ids], np.int64)
        index = np.argsort(of[given], kind="stable")
        row = of[given][index]
    return RowCells(model, cells.embeddings[index], row.astype(np.int64), len(tissue))


def _computed(cells: Cells, watch: Watch, workers: Workers | None) -> Cells:
    return cells.compute(
        on_tile=lambda progress: watch.on_share(progress.done / max(1, progress.total)),
        cancelled=watch.cancelled,
        workers=workers,
    )


def _around(tissue: Tissue) -> Rect:
    """What spots cover, within the slide."""
    assert tissue.section.spot_diameter_um is not None
    radius_um = tissue.section.spot_diameter_um / 2
    width_um, height_um = tissue.slide.size_um
    x0, y0 = np.maximum(tissue.row_um.min(axis=0) - radius_um, 0)
    x1, y1 = np.minimum(tissue.row_um.max(axis=0) + radius_um, (width_um, height_um))
    return Rect(float(x0), float(y0), float(x1 - x0), float(y1 - y0))


def _named(places_um: Points) -> FoundCells:
    """Cells without outlines, each named by its place in the list."""
    n = len(places_um)
    return FoundCells(
        places_um,
        Outlines(np.zeros((0, 2), np.float32), np.zeros(n + 1, np.int64)),
        np.full(n, np.nan, np.float32),
        tuple(map(str, range(n))),
    )

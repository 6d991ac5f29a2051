"""What a model predicts on measured rows: worked out once, in a job."""

from __future__ import annotations

from dataclasses import dataclass

from napari_past.engine import Workers
from napari_past.model import Model
from napari_past.plugin.measured.genes import SharedGenes, shared_genes
from napari_past.plugin.measured.tissue import OnSlide
from napari_past.validation.predictor import Watch
from napari_past.validation.row_cells import RowCells, row_cells
from napari_past.validation.tissue import Tissue


@dataclass(frozen=True, eq=False)
class Predicted:
    """A model's cells on the rows of a tissue."""

    tissue: Tissue
    cells: RowCells
    genes: SharedGenes


def predicted_on(here: OnSlide, model: Model, workers: Workers, watch: Watch) -> Predicted:
    """A model on the rows of a section that lies on its slide; what the store has is not computed
    again. Slow.

    Raises
    ------
    Cancelled and what `napari_past.predict` raises.
    """
    assert here.tissue is not None
    cells = row_cells(here.tissue, model, watch, workers)
    return Predicted(here.tissue, cells, shared_genes(here, model, cells))

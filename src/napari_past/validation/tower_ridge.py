"""Ridge regression on a frozen tower's vectors, fitted on each fold's training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.engine import Workers
from napari_past.model import Model
from napari_past.model.traces import TrainingTraces
from napari_past.validation.fold_ridge import FoldRidge
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.row_cells import row_cells
from napari_past.validation.tissue import MEASURED_UNIT, Tissue


class RidgeOnTower:
    """What a linear read-out makes of a tower: the usual yardstick of foundation models.

    A row's vector is the mean over its cells' vectors, encoded as the card says, crop by crop or
    densely, as in the viewer.

    Parameters
    ----------
    model
        Whose image tower it is; its read-out, if it has one, plays no part.
    workers
        Who encodes; None for this process.
    """

    unit: str | None = MEASURED_UNIT
    fitted_here = True

    def __init__(self, model: Model, workers: Workers | None = None) -> None:
        self.model = model
        self._workers = workers
        self._ridge = FoldRidge(self.row_vectors)

    @property
    def name(self) -> str:
        return f"ridge on the frozen tower of {self.model.name}"

    @property
    def sha256(self) -> str:
        return self.model.sha256

    @property
    def field_um(self) -> float:
        return self.model.card.encoder.field_um

    @property
    def traces(self) -> TrainingTraces:
        """Those of the tower."""
        return TrainingTraces.of(self.model.card)

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(measured)

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Values (k, G); NaN for a row without a cell."""
        return self._ridge.predict(tissues, folds, genes, watch)

    def row_vectors(self, tissue: Tissue, watch: Watch) -> npt.NDArray[np.float32]:
        """Mean of each row's cells' vectors, float32 (k, D); NaN for a row without a cell."""
        return row_cells(tissue, self.model, watch, self._workers).mean_vectors()

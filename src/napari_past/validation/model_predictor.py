"""A model file with its own read-out, or its bank, as something to validate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from napari_past.engine import Workers
from napari_past.errors import GeneError
from napari_past.genes import resolve
from napari_past.model import Model
from napari_past.model.traces import TrainingTraces
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.row_cells import RowCells, row_cells
from napari_past.validation.tissue import Tissue


class ModelPredictor:
    """A model as it is; nothing of it is fitted here.

    Parameters
    ----------
    workers
        Who encodes; None for this process.
    """

    def __init__(self, model: Model, workers: Workers | None = None) -> None:
        self.model = model
        self._workers = workers
        self._cells: dict[Tissue, RowCells] = {}
        self._symbols: dict[str, str] = {}

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def unit(self) -> str | None:
        return self.model.expression_unit

    @property
    def field_um(self) -> float:
        return self.model.card.encoder.field_um

    @property
    def sha256(self) -> str:
        return self.model.sha256

    @property
    def fitted_here(self) -> bool:
        return False

    @property
    def traces(self) -> TrainingTraces:
        return TrainingTraces.of(self.model.card)

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """Of the measured genes those that the read-out or the bank has."""
        known = self._known(measured)
        return tuple(gene for gene in measured if gene in known)

    def cells(self, tissue: Tissue, watch: Watch) -> RowCells:
        """The cells on a tissue's rows; encoded once."""
        if tissue not in self._cells:
            self._cells[tissue] = row_cells(tissue, self.model, watch, self._workers)
        return self._cells[tissue]

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Mean over each row's cells of what the model predicts, (k, G)."""
        known = self._known(genes)
        symbols = [known[gene] for gene in genes]
        return [self.cells(tissue, watch).expression(symbols) for tissue in tissues]

    def _known(self, measured: Sequence[str]) -> dict[str, str]:
        """What the model calls these genes, for those that it has; looking old names up is slow."""
        if not self._symbols.keys() >= set(measured):
            self._symbols |= model_symbols(self.model.genes, measured)
        return self._symbols


def model_symbols(symbols: Sequence[str], measured: Collection[str]) -> dict[str, str]:
    """Measured gene → what a model calls it, for those that it has.

    A model may have been trained under symbols that have been renamed since.

    Parameters
    ----------
    symbols
        Of the model.
    """
    wanted = frozenset(measured)
    found = {gene: gene for gene in symbols if gene in wanted}
    for gene in symbols:
        if gene not in wanted:
            with suppress(GeneError):
                now = resolve(gene, wanted).symbols
                if len(now) == 1:
                    found.setdefault(now[0], gene)
    return found

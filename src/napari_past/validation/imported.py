"""Predictions that somebody made elsewhere, as something to validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.errors import BadTable, ModelError
from napari_past.model import Model, load_model
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.validation.metrics import pearson
from napari_past.validation.model_predictor import model_symbols
from napari_past.validation.prediction_table import PredictionTable, read_table
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.row_match import RowMatch, row_match
from napari_past.validation.tissue import Tissue

_MEASURED_AGAIN = 0.9999
"""Predictions that correlate so with the counts are the counts."""


class ImportedTable:
    """One table of predictions for all sections, or one for each.

    Parameters
    ----------
    tables
        By the section's name; under "" that of every section that has none of its own.
    unit
        Of the values; None takes what the tables say.
    placed_in
        As `row_match` has it.
    """

    fitted_here = False

    def __init__(
        self,
        tables: PredictionTable | Mapping[str, PredictionTable],
        unit: str | None = None,
        placed_in: Literal["um", "px"] | None = None,
    ) -> None:
        self._tables = {"": tables} if isinstance(tables, PredictionTable) else dict(tables)
        self._unit = unit
        self._placed_in = placed_in
        self._matches: dict[Tissue, RowMatch] = {}
        self._symbols: dict[Tissue, dict[str, str]] = {}

    @property
    def tables(self) -> tuple[PredictionTable, ...]:
        """All of them."""
        return tuple(self._tables.values())

    @property
    def name(self) -> str:
        return ", ".join(dict.fromkeys(table.name for table in self.tables))

    @property
    def sha256(self) -> str:
        """Of the first file."""
        return self.tables[0].sha256

    @property
    def unit(self) -> str | None:
        if self._unit is not None:
            return self._unit
        units = {table.unit for table in self.tables}
        return units.pop() if len(units) == 1 else None

    @property
    def field_um(self) -> float:
        model = self._model
        return 0.0 if model is None else model.card.encoder.field_um

    @property
    def traces(self) -> TrainingTraces:
        """Those of the model that made it, where that is one of ours and here."""
        model = self._model
        return NO_TRACES if model is None else TrainingTraces.of(model.card)

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """Of the measured genes those that every table has, whatever name it has for them."""
        known = [model_symbols(table.genes, measured) for table in self.tables]
        return tuple(gene for gene in measured if all(gene in names for names in known))

    def match(self, tissue: Tissue) -> RowMatch:
        """Where a section's rows are in its table; looked for once.

        Raises
        ------
        BadTable
            There is no table for the section, or it is of something else.
        """
        if tissue not in self._matches:
            self._matches[tissue] = row_match(self._table(tissue), tissue, self._placed_in)
        return self._matches[tissue]

    def told(self, tissues: Sequence[Tissue]) -> tuple[str, ...]:
        """How rows were found, and what else was decided on reading; a sentence each."""
        notes = dict.fromkeys(note for table in self.tables for note in table.notes)
        return (*notes, *(self.match(tissue).told for tissue in tissues))

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """The table's values, (k, G); NaN for a row that it does not have.

        Raises
        ------
        BadTable
            As `match`; or the table holds what was measured.
        """
        values = []
        for tissue in tissues:
            table = self._table(tissue)
            if tissue not in self._symbols:
                self._symbols[tissue] = model_symbols(table.genes, tissue.genes)
            known = self._symbols[tissue]
            predicted = self.match(tissue).means(table.of([known[gene] for gene in genes]))
            _check_not_measured(predicted, tissue, genes, table)
            values.append(predicted)
        return values

    def _table(self, tissue: Tissue) -> PredictionTable:
        table = self._tables.get(tissue.section.name, self._tables.get(""))
        if table is None:
            raise BadTable(
                f"There are no predictions for section {tissue.section.name}; give a table for it."
            )
        return table

    @property
    def _model(self) -> Model | None:
        """That made the tables, where they say so and it is here."""
        made_by = {(table.name, table.model_sha256) for table in self.tables}
        if len(made_by) == 1:
            name, sha256 = made_by.pop()
            with suppress(ModelError):
                model = load_model(name) if sha256 else None
                return model if model is not None and model.sha256 == sha256 else None
        return None


def read_predictions(
    path: str | Path,
    *,
    layer: str | None = None,
    unit: str | None = None,
    placed_in: Literal["um", "px"] | None = None,
) -> ImportedTable:
    """The predictions in one file, as `prediction_table.read_table` reads it.

    Parameters
    ----------
    layer
        Of an AnnData file.
    unit
        Of the values, such as "log1p(counts per 10k)".
    placed_in
        Unit of ``obsm["spatial"]``.

    Raises
    ------
    BadTable, BadSource
    """
    return ImportedTable(read_table(path, layer), unit, placed_in)


def _check_not_measured(
    predicted: npt.NDArray[np.float32], tissue: Tissue, genes: Sequence[str], table: PredictionTable
) -> None:
    """A table may hold the measurement beside the predictions; that agrees with itself."""
    found = np.isfinite(predicted).all(axis=1)
    if found.sum() < 3 or not genes:
        return
    measured = tissue.measured(genes)[found]
    place = {gene: i for i, gene in enumerate(tissue.genes)}
    columns = tissue.section.counts[tissue.rows][:, [place[gene] for gene in genes]]
    counts = np.asarray(columns.toarray(), np.float64)[found]
    for same in (counts, measured, np.log1p(counts)):
        r = pearson(predicted[found], same)
        finite = r[np.isfinite(r)]
        if len(finite) and float(np.quantile(finite, 0.1)) > _MEASURED_AGAIN:
            raise BadTable(
                f"{table.path.name} holds the measured counts of section {tissue.section.name} "
                "where predictions were expected; name the layer that holds them with "
                "--predicted-layer, or give the file that the model wrote."
            )

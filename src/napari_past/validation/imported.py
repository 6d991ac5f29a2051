"""Predictions that somebody made elsewhere, as something to validate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from napari_past.errors import BadTable, ModelError
from napari_past.model import Model, load_model
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.validation.metrics import pearson, ranks
from napari_past.validation.model_predictor import model_symbols
from napari_past.validation.prediction_table import PredictionTable, read_table
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.row_match import RowMatch, row_match
from napari_past.validation.tissue import Tissue

_MEASURED_AGAIN = 0.9999
"""Predictions that correlate so with the counts are the counts."""
_RANKED_AGAIN = 0.98
"""In whatever unit: no picture tells the order of counts, which are drawn by chance, so well."""
_PROBED = 50
"""Genes that are looked at for it in each call, and the fewest rows of which ranks are."""
_VALUES_AT_ONCE = 2**24
_WIDEST_UM = 100_000.0


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
    field_um
        Width of H&E in µm that whoever predicted saw around a cell or row; None takes that of the
        model, where it is one of ours and here.
    """

    fitted_here = False

    def __init__(
        self,
        tables: PredictionTable | Mapping[str, PredictionTable],
        unit: str | None = None,
        placed_in: Literal["um", "px"] | None = None,
        field_um: float | None = None,
    ) -> None:
        self._tables = {"": tables} if isinstance(tables, PredictionTable) else dict(tables)
        self._unit = unit
        self._placed_in = placed_in
        self._field_um = checked_field_um(field_um)
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
        if self._field_um is not None:
            return self._field_um
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
        if self._model is None:
            notes |= dict.fromkeys(_untraced(table) for table in self.tables if table.model_sha256)
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
            match, names = self.match(tissue), [known[gene] for gene in genes]
            # A spot may have thousands of rows, of which all genes at once would not fit.
            at_once = max(1, _VALUES_AT_ONCE // max(1, len(match.of)))
            starts = range(0, len(names), at_once) or (0,)
            parts = [match.means(table.of(names[i : i + at_once], match.of)) for i in starts]
            predicted = np.concatenate(parts, axis=1)
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

    @cached_property
    def _model(self) -> Model | None:
        """That made the tables, where they say so and it is here."""
        made_by = {(table.name, table.model_sha256) for table in self.tables}
        if len(made_by) == 1:
            name, sha256 = made_by.pop()
            with suppress(ModelError):
                model = load_model(name) if sha256 else None
                return model if model is not None and sha256 in model.known_sha256 else None
        return None


def read_predictions(
    path: str | Path,
    *,
    layer: str | None = None,
    unit: str | None = None,
    placed_in: Literal["um", "px"] | None = None,
    field_um: float | None = None,
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
    field_um
        As `ImportedTable` has it.

    Raises
    ------
    BadTable, BadSource
    """
    return ImportedTable(read_table(path, layer), unit, placed_in, field_um)


def checked_field_um(field_um: float | None) -> float | None:
    """The width of a predictor's field of view as it was given.

    Raises
    ------
    BadTable
        It is none.
    """
    if field_um is not None and not 0 < field_um < _WIDEST_UM:
        raise BadTable(
            f"--field-um is {field_um:g}, but the width in µm that a predictor sees around a row "
            f"was expected, above 0 and below {_WIDEST_UM:g}; give that, or leave it out."
        )
    return field_um


def _untraced(table: PredictionTable) -> str:
    """Of a table that one of our models made, which is not at hand."""
    return (
        f"{table.path.name} says that {table.name} (SHA-256 {table.model_sha256[:12]}…) made it, "
        "which is not among the models here: whether it was trained on this tissue could not be "
        "looked at."
    )


def _check_not_measured(
    predicted: npt.NDArray[np.float32], tissue: Tissue, genes: Sequence[str], table: PredictionTable
) -> None:
    """A table may hold the measurement beside the predictions; that agrees with itself, in values
    where the unit is a usual one, in order whatever was done to them."""
    if not genes:
        return
    chosen = np.unique(np.linspace(0, len(genes) - 1, min(_PROBED, len(genes))).astype(int))
    place = {gene: i for i, gene in enumerate(tissue.genes)}
    section_counts = csr_array(tissue.section.counts[tissue.rows])
    columns = section_counts[:, [place[genes[i]] for i in chosen]]
    counts = np.asarray(columns.toarray(), np.float64)
    total = np.asarray(section_counts.sum(axis=1), np.float64).reshape(-1, 1)
    share = counts / np.maximum(total, 1e-9)
    values: list[float] = []
    orders: list[float] = []
    for column, gene in enumerate(chosen):
        found = np.isfinite(predicted[:, gene])
        if found.sum() < 3:
            continue
        given = predicted[found, gene][:, None].astype(np.float64)
        usual = np.column_stack(
            [
                counts[found, column],
                np.log1p(counts[found, column]),
                np.log1p(1e4 * share[found, column]),
            ]
        )
        values.append(_best(np.repeat(given, 3, axis=1), usual))
        if found.sum() >= _PROBED:
            bare = np.column_stack([counts[found, column], share[found, column]])
            orders.append(_best(np.repeat(ranks(given), 2, axis=1), ranks(bare)))
    for r, again in ((values, _MEASURED_AGAIN), (orders, _RANKED_AGAIN)):
        finite = np.array(r)[np.isfinite(r)]
        if len(finite) and float(np.quantile(finite, 0.1)) > again:
            raise BadTable(
                f"{table.path.name} holds the measured counts of section {tissue.section.name}, or "
                "what was computed from them, where predictions were expected; name the layer that "
                "holds them with --predicted-layer, or give the file that the model wrote."
            )


def _best(given: npt.NDArray[np.float64], measured: npt.NDArray[np.float64]) -> float:
    """The highest r of two tables' columns; NaN where none is known."""
    r = pearson(given, measured)
    finite = r[np.isfinite(r)]
    return float(finite.max()) if len(finite) else float("nan")

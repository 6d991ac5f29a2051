"""What measured rows show of a gene: measured, predicted, and the difference. Knows no viewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.genes import Resolved
from napari_past.model import Model
from napari_past.plugin.measured.tissue import OnSlide
from napari_past.plugin.staining import Channel, Look, Staining, automatic_limits
from napari_past.validation.model_predictor import model_symbols
from napari_past.validation.result import standardised
from napari_past.validation.row_cells import RowCells
from napari_past.validation.tissue import MEASURED_UNIT, in_measured_unit

RESIDUAL_COLOURS = "coolwarm"
"""Blue to red over grey: told apart by colour-blind eyes."""
DEVIATIONS = "standard deviations from the section's mean"
RESIDUAL_UNIT = "predicted − measured, in standard deviations"
STANDARD_LIMITS = (-2.0, 2.0)
RESIDUAL_LIMITS = (-2.0, 2.0)

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RowsShown:
    """One gene or marker on measured rows."""

    resolved: Resolved
    genes: tuple[str, ...]
    """Of it, those that were measured."""
    measured: Staining
    """Of all rows that lie on the slide."""
    predicted: Staining | None
    """Of the tissue's rows, in the same unit and limits; None while nothing is predicted."""
    residual: Staining | None
    """Of the tissue's rows."""
    raw: tuple[Values, Values | None]
    """Measured values of all rows and predicted ones of the tissue's, in their units, whatever is
    shown."""
    standard: bool
    """Whether values are shown as deviations from their mean."""
    predicted_unit: str
    """Of the raw predicted values."""
    note: str
    """What is to be known of unit and limits; a sentence, or empty."""

    @property
    def name(self) -> str:
        """As "ERBB2" or "CD3D + CD3E"."""
        return " + ".join(self.genes)


@dataclass(frozen=True)
class RowsAsked:
    """What is to be shown on measured rows."""

    resolved: Resolved
    here: OnSlide
    model: Model | None
    """Whose gene it is; None where the slide's colours come from no model."""
    cells: RowCells | None
    """The model's cells on the tissue's rows; None while they are not known."""
    look: Look
    """Colours, and limits where the user set some."""
    standard: bool
    """Show both as standard deviations from their means."""


def measured_genes(resolved: Resolved, here: OnSlide, model: Model | None) -> dict[str, str]:
    """Symbol of the model → measured gene, for those genes of a marker that were measured.

    Parameters
    ----------
    model
        None: symbols stand for themselves.
    """
    measured = here.section.genes
    symbols = resolved.symbols
    known = (
        {gene: gene for gene in symbols if gene in set(measured)}
        if model is None
        else {symbol: gene for gene, symbol in model_symbols(symbols, measured).items()}
    )
    return {symbol: known[symbol] for symbol in symbols if symbol in known}


def rows_shown(asked: RowsAsked) -> RowsShown | None:
    """A gene as it was measured and as a model predicts it; None where it was not measured. Slow
    where the gene is looked up in a bank."""
    resolved, here, model, cells = asked.resolved, asked.here, asked.model, asked.cells
    look = asked.look
    shared = measured_genes(resolved, here, model)
    if not shared:
        return None
    measured = here.counts.values(list(shared.values()))
    predicted = None
    if cells is not None:
        predicted = np.asarray(cells.expression(list(shared)).mean(axis=1), np.float32)
    unit = "" if model is None else model.unit_of(next(iter(shared)))
    same_unit = model is None or in_measured_unit(unit)
    as_deviations = asked.standard or not same_unit
    rows = np.arange(0) if here.tissue is None else here.tissue.rows
    left = None if predicted is None else _residual(predicted, measured[rows])
    show_measured, show_predicted = measured, predicted
    if as_deviations:
        show_measured = _deviations(measured, rows)
        show_predicted = None if predicted is None else _deviations(predicted)
        limits = STANDARD_LIMITS
    else:
        sides = [measured[rows]] if predicted is None else [measured[rows], predicted]
        lows, highs = zip(*map(automatic_limits, sides), strict=True)
        limits = look.limits or (min(lows), max(highs))
    shown_unit = DEVIATIONS if as_deviations else MEASURED_UNIT

    def staining(values: Values, of: tuple[float, float], unit: str, colours: str) -> Staining:
        return Staining(Channel(resolved, values, of), None, unit, None, False, colours)

    return RowsShown(
        resolved=resolved,
        genes=tuple(shared.values()),
        measured=staining(show_measured[here.on_slide], limits, shown_unit, look.colormap),
        predicted=None
        if show_predicted is None
        else staining(show_predicted, limits, shown_unit, look.colormap),
        residual=None
        if left is None
        else staining(left, RESIDUAL_LIMITS, RESIDUAL_UNIT, RESIDUAL_COLOURS),
        raw=(measured, predicted),
        standard=as_deviations,
        predicted_unit=MEASURED_UNIT if same_unit else unit,
        note=_note(resolved, shared, unit, same_unit, cells is not None),
    )


def _note(
    resolved: Resolved, shared: dict[str, str], unit: str, same_unit: bool, predicted: bool
) -> str:
    told = []
    missing = [symbol for symbol in resolved.symbols if symbol not in shared]
    if missing:
        told.append(
            f"{', '.join(missing)} {'was' if len(missing) == 1 else 'were'} not measured, so both "
            f"sides are of {' + '.join(shared.values())}."
        )
    if predicted and not same_unit:
        told.append(
            f"The model predicts in another unit ({unit}) than was measured ({MEASURED_UNIT}), so "
            "both are shown as standard deviations from their means."
        )
    return " ".join(told)


def _deviations(values: Values, among: npt.NDArray[np.int64] | None = None) -> Values:
    """Values less the mean of some of them, over their standard deviation; NaN stays NaN."""
    sample = values if among is None or not len(among) else values[among]
    sample = sample[np.isfinite(sample)].astype(np.float64)
    spread = float(sample.std()) if len(sample) else 0.0
    if spread <= 1e-9:
        return np.where(np.isfinite(values), np.float32(0), np.float32(np.nan))
    return np.asarray((values - sample.mean()) / spread, np.float32)


def _residual(predicted: Values, measured: Values) -> Values:
    """Predicted − measured, each as deviations over the rows that have both; NaN elsewhere."""
    both = np.isfinite(predicted) & np.isfinite(measured)
    left = np.full(len(predicted), np.nan, np.float32)
    if both.any():
        left[both] = standardised(predicted[both]) - standardised(measured[both])
    return left

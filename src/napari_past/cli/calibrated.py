"""What a model's calibrations say of the regions of a report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.calibration import PredictedValue, predicted_value
from napari_past.cli.matched import SCORE_UNIT
from napari_past.genes import Resolved
from napari_past.model import Model
from napari_past.model.calibration import Calibration
from napari_past.stain import CountedCells, ScoreTable

SHOWN_REGIONS = 6
DECIMALS = {"od": 2, "h-score": 0, "percent": 1}


def calibrated_lines(
    model: Model,
    resolved: Resolved,
    values: npt.NDArray[np.floating],
    counted: CountedCells,
    table: ScoreTable,
) -> list[str]:
    """A line for each calibration of the marker in the model's card; none where there is none.

    Parameters
    ----------
    values
        (n,), predicted by `model`, of the cells of `counted`.
    table
        Scores of the same rows.
    """
    fitting = [c for c in model.card.calibrations if set(c.genes) == set(resolved.symbols)]
    return [_line(calibration, values, counted, table) for calibration in fitting]


def _line(
    calibration: Calibration,
    values: npt.NDArray[np.floating],
    counted: CountedCells,
    table: ScoreTable,
) -> str:
    of_scores = calibration.predicted_unit == SCORE_UNIT
    told = []
    name = ""
    rows = list(zip(counted.rows, table.rows, strict=True))
    for cells, row in rows[:SHOWN_REGIONS]:
        given: Sequence[float] | npt.NDArray = [row.h_score] if of_scores else values[cells.index]
        predicted = predicted_value(calibration, given)
        name = predicted.name
        told.append(f"{row.region} {_text(predicted, DECIMALS[calibration.quantity])}")
    more = len(rows) - len(told)
    if more:
        told.append(f"and {more} more regions")
    limits = calibration.held_out.limits
    held_out = "" if limits is None else f"; limits of agreement {limits[0]:.3g} to {limits[1]:.3g}"
    return (
        f"{name}: {', '.join(told)}; 95 % prediction intervals from held-out patients{held_out}. "
        "The table's scores are not calibrated."
    )


def _text(predicted: PredictedValue, decimals: int) -> str:
    value = f"{predicted.value:.{decimals}f}" if np.isfinite(predicted.value) else "–"
    if np.isfinite(predicted.low):
        return f"{value} ({predicted.low:.{decimals}f}–{predicted.high:.{decimals}f})"
    return f"{value} ({predicted.note})" if predicted.note else value

"""What the calibrations in a model's card say of regions that nobody stained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.calibration.files import check_sha256
from napari_past.calibration.fit import card_cutoffs
from napari_past.calibration.match import LEAST_CELLS
from napari_past.calibration.predict import (
    H_SCORE,
    PredictedValue,
    predicted_h_score,
    predicted_value,
)
from napari_past.calibration.region_table import SCORE_UNIT
from napari_past.genes import Resolved
from napari_past.io.origin import Origin
from napari_past.model import Model
from napari_past.model.calibration import Calibration, Quantity
from napari_past.stain import CountedCells, ScoreTable
from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.types import Cutoffs

SHOWN_REGIONS = 6
"""On one line; a report's table has more."""
DECIMALS: dict[Quantity, int] = {"od": 2, "h-score": 0, "percent": 1}
INTERVAL = "95 % prediction interval"
INSUFFICIENT = "insufficient"


@dataclass(frozen=True)
class CalibratedRow:
    """What a calibration says of one region."""

    region: str
    predicted: PredictedValue
    decimals: int
    insufficient: str = ""
    """Why the region has no score: too few cells. Then it has no calibrated one either."""
    extrapolated: str = ""
    """Why the value lies outside of what was calibrated; see `extrapolation`."""

    @property
    def short(self) -> str:
        """As "143 (101–190)"; a note stands in place of an interval that there is not."""
        return self._text("")

    @property
    def sentence(self) -> str:
        """As "predicted H-score (calibrated: SP1, 24 patients): 143 (95 % prediction interval
        101–190)"."""
        clause = f"; {self.extrapolated}" if self.extrapolated and self._has_value else ""
        return f"{self.predicted.name}: {self._text(f'{INTERVAL} ')}{clause}"

    @property
    def _has_value(self) -> bool:
        return not self.insufficient and not math.isnan(self.predicted.value)

    def _text(self, before_interval: str) -> str:
        if self.insufficient:
            return INSUFFICIENT
        value, low, high = (
            _number(v, self.decimals)
            for v in (self.predicted.value, self.predicted.low, self.predicted.high)
        )
        if not math.isnan(self.predicted.low):
            return f"{value} ({before_interval}{low}–{high})"
        return f"{value} ({self.predicted.note})" if self.predicted.note else value


def calibrations_of(
    model: Model, resolved: Resolved, predicted_by: str = ""
) -> tuple[Calibration, ...]:
    """The calibrations of a marker in a model's card that fit its values.

    They are of the marker's genes, and of values in the model's unit or of pseudo-H-scores of them.
    Scores whose cut-offs are not told were counted at those of the model's card.

    Parameters
    ----------
    predicted_by
        SHA-256 of the model that made the values, where a file tells it: that of `model`, or of the
        same model before the calibration was added to its card.

    Raises
    ------
    BadTable
        Another model made the values.
    """
    units = (model.expression_unit, SCORE_UNIT)
    found = [
        c
        for c in model.card.calibrations
        if set(c.genes) == set(resolved.symbols) and c.predicted_unit in units
    ]
    if found and predicted_by and predicted_by not in model.known_sha256:
        check_sha256(found[0], predicted_by, "another model")
    own = card_cutoffs(model, resolved)
    return tuple(
        c.model_copy(update={"cutoffs": own})
        if c.predicted_unit == SCORE_UNIT and c.cutoffs is None
        else c
        for c in found
    )


def extrapolation(not_learnable: Sequence[str], slide_unlike_training: str) -> str:
    """To stand with calibrated values of what a model cannot be expected to know; else empty.

    Parameters
    ----------
    not_learnable
        Genes of the marker that the model could not learn.
    slide_unlike_training
        What is told of a slide that looks unlike the training as a whole; else empty.
    """
    why = []
    if not_learnable:
        verb = "is" if len(not_learnable) == 1 else "are"
        why.append(f"{', '.join(not_learnable)} {verb} not learnable")
    if slide_unlike_training:
        why.append("the slide looks unlike the training")
    return f"extrapolated: {' and '.join(why)}" if why else ""


def beyond_model(model: Model, resolved: Resolved, slide_unlike_training: str) -> str:
    """`extrapolation` of a marker of a slide that a model has read."""
    unknown = [s for s in resolved.symbols if not model.reliability(s).learnable]
    return extrapolation(unknown, slide_unlike_training)


def beyond_origin(origin: Origin, resolved: Resolved) -> str:
    """`extrapolation` of a marker of a table, as far as the table tells."""
    return extrapolation(origin.not_learnable_of(resolved.symbols), origin.slide_unlike_training)


def calibrated_rows(
    calibration: Calibration,
    values: npt.NDArray[np.floating],
    counted: CountedCells,
    table: ScoreTable,
    extrapolated: str = "",
) -> tuple[CalibratedRow, ...]:
    """What a calibration says of each row of a table of scores.

    Of matched cells' optical density an H-score follows, which is then given. Pseudo-H-scores are
    mapped only where they were counted at the cut-offs of those that were calibrated; at others,
    and for fewer cells than a region needs to be calibrated, a note stands in place of a number.

    Parameters
    ----------
    calibration
        Of the model and the marker of the values: see `calibrations_of`.
    values
        (n,), predicted values of the cells of `counted`, in the model's unit.
    table
        Scores of the same rows, in their order.
    extrapolated
        `extrapolation` of the marker and the slide.
    """
    of_scores = calibration.predicted_unit == SCORE_UNIT
    why_not = _other_cutoffs(calibration, table.cutoffs) if of_scores else ""
    gives_score = calibration.quantity == "od" and calibration.cell_sd is not None
    rows = []
    for cells, row in zip(counted.rows, table.rows, strict=True):
        own = values[cells.index]
        given = np.array([row.h_score]) if of_scores else own
        note = why_not or _too_few(int(np.isfinite(own).sum()))
        if note:
            nothing = (math.nan,) * 3
            name = calibration.named(H_SCORE) if gives_score else calibration.named()
            predicted = PredictedValue(name, *nothing, note)
        elif gives_score:
            predicted = predicted_h_score(calibration, given, DAB_CUTOFFS)
        else:
            predicted = predicted_value(calibration, given)
        decimals = 0 if gives_score else DECIMALS[calibration.quantity]
        rows.append(CalibratedRow(row.region, predicted, decimals, row.insufficient, extrapolated))
    return tuple(rows)


def calibrated_lines(
    calibrations: Iterable[Calibration],
    values: npt.NDArray[np.floating],
    counted: CountedCells,
    table: ScoreTable,
    extrapolated: str = "",
) -> list[str]:
    """A line for each calibration, with the first regions of the table; see `calibrated_rows`."""
    return [
        _line(calibration, calibrated_rows(calibration, values, counted, table, extrapolated))
        for calibration in calibrations
    ]


def _too_few(cells: int) -> str:
    """Why a region of so few cells is not mapped; empty where it is, or where it has none."""
    if not 0 < cells < LEAST_CELLS:
        return ""
    return f"{cells} cell{'s' if cells > 1 else ''}; {LEAST_CELLS} are needed, as in calibration"


def _other_cutoffs(calibration: Calibration, cutoffs: Cutoffs) -> str:
    """Why scores at some cut-offs are not mapped; empty where they are."""
    known = calibration.cutoffs
    if known is None:
        return "the cut-offs of the calibrated scores are not known"
    # What went through a text file may differ in its last digit.
    if np.allclose(cutoffs.values, known, rtol=1e-6, atol=0):
        return ""
    return f"calibrated at the cut-offs {', '.join(f'{v:.4g}' for v in known)} alone"


def _line(calibration: Calibration, rows: Sequence[CalibratedRow]) -> str:
    told = [f"{row.region} {row.short}" for row in rows[:SHOWN_REGIONS]]
    more = len(rows) - len(told)
    if more:
        told.append(f"and {more} more regions")
    limits = calibration.held_out.limits
    held_out = "" if limits is None else f"; limits of agreement {limits[0]:.3g} to {limits[1]:.3g}"
    name = rows[0].predicted.name if rows else calibration.named()
    return (
        f"{name}: {', '.join(told)}; {INTERVAL}s from held-out patients{held_out}. "
        "The table's scores are not calibrated."
        + (f" The values are {rows[0].extrapolated}." if rows and rows[0].extrapolated else "")
    )


def _number(value: float, decimals: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"

"""What a calibration says of a region that nobody stained."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from napari_past.calibration.monotone import mapped
from napari_past.errors import MissingCutoffs
from napari_past.model.calibration import LEAST_PATIENTS, MOST, Calibration
from napari_past.stain import expected_h_score
from napari_past.types import Cutoffs

NO_INTERVAL = f"no interval: fewer than {LEAST_PATIENTS} patients"
H_SCORE = "H-score"


@dataclass(frozen=True)
class PredictedValue:
    """An estimate of what a stain would show in one region."""

    name: str
    """To stand with it: "predicted H-score (local calibration: SP1, 6 patients)"."""
    value: float
    """NaN without cells."""
    low: float
    """Of the 95 % prediction interval from held-out patients; NaN where there is none."""
    high: float
    note: str = ""
    """Why there is no interval; else empty."""


def predicted_value(calibration: Calibration, values: npt.ArrayLike) -> PredictedValue:
    """The quantity that was calibrated, in a region of a new patient.

    The interval is the estimate ± t · √(between² + within²), with the components of the held-out
    patients and Student's t of as many degrees of freedom as patients less one; it ends where the
    quantity does. Beyond the predicted values that were calibrated there is none.

    Parameters
    ----------
    calibration
        Of the model and marker that `values` are of; see `check_model`.
    values
        (n,), predicted values of the region's cells in the calibration's `predicted_unit`; NaN is
        left out. Where regions were calibrated their mean is mapped, else each of them.
    """
    cells = _finite(values)
    name = calibration.named()
    if not len(cells):
        return PredictedValue(name, math.nan, math.nan, math.nan, "no cells")
    estimate = float(_estimates(calibration, cells).mean())
    reach, note = _reach(calibration, cells)
    low, high = (
        min(max(0.0, estimate + side * reach), MOST[calibration.quantity]) for side in (-1, 1)
    )
    if math.isnan(reach):
        low = high = math.nan
    return PredictedValue(name, estimate, low, high, note)


def predicted_h_score(
    calibration: Calibration, values: npt.ArrayLike, cutoffs: Cutoffs | None = None
) -> PredictedValue:
    """The H-score, 0–300, in a region of a new patient.

    Where H-scores were calibrated this is `predicted_value`. Where optical density of matched cells
    was, it is the sum of the probabilities that a cell reaches each cut-off (`expected_h_score`),
    with each cell spread as `cell_sd` around what the map says; its interval is that of the
    region's mean density, carried through the same sum. The mean density of a region does not tell
    how its cells are spread, negative beside positive ones, and so it tells no H-score.

    Parameters
    ----------
    cutoffs
        On optical density; needed where that was calibrated.

    Raises
    ------
    MissingCutoffs
        Neither H-scores nor the optical density of matched cells was calibrated, or there are no
        cut-offs on the latter.
    """
    if calibration.quantity == "h-score":
        return predicted_value(calibration, values)
    if calibration.quantity != "od" or calibration.cell_sd is None or cutoffs is None:
        raise MissingCutoffs(
            f"This calibration of {calibration.marker} tells no H-score: it needs measured "
            "H-scores of regions (--measured h-score), or the optical density of matched cells "
            "(--same-section) and cut-offs."
        )
    cells = _finite(values)
    name = calibration.named(H_SCORE)
    if not len(cells):
        return PredictedValue(name, math.nan, math.nan, math.nan, "no cells")
    density = _estimates(calibration, cells)
    reach, note = _reach(calibration, cells)
    spread = calibration.cell_sd
    score, low, high = (
        expected_h_score(density + shift, spread, cutoffs) for shift in (0.0, -reach, reach)
    )
    return PredictedValue(name, score, low, high, note)


def _estimates(calibration: Calibration, cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    of = cells if calibration.level == "cells" else cells.mean(keepdims=True)
    return mapped(calibration.knots, of)


def _reach(calibration: Calibration, cells: npt.NDArray[np.float64]) -> tuple[float, str]:
    """Half the width of the interval, NaN where there is none, and why."""
    deviation = calibration.held_out.deviation
    if deviation is None:
        return math.nan, NO_INTERVAL
    first, last = calibration.span
    mean = float(cells.mean())
    if not first <= mean <= last:
        return math.nan, (
            f"no interval: the mean predicted value {mean:.3g} lies beyond what was calibrated, "
            f"{first:.3g} to {last:.3g}"
        )
    return float(stdtrit(calibration.patients - 1, 0.975)) * deviation, ""


def _finite(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    given = np.asarray(values, np.float64).ravel()
    return given[np.isfinite(given)]

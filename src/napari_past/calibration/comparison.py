"""Predicted beside measured regions, as somebody looks at them before anything is saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import pearsonr

from napari_past.calibration.figures import agreement_svg, bland_altman_svg, values_svg
from napari_past.calibration.fit import (
    CalibratedBy,
    by_region,
    fit_calibration,
    held_out_estimates,
)
from napari_past.calibration.matched import Matched, checked
from napari_past.calibration.page import agreement_rows, calibration_lines
from napari_past.calibration.predict import PredictedValue
from napari_past.calibration.validation import ValidatedRegion, Validation, validate
from napari_past.errors import BadTable
from napari_past.model.calibration import UNITS, Calibration

HELD_OUT = "estimated from the other patients"


@dataclass(frozen=True)
class Comparison:
    """Matched regions, and how far estimates are from what was measured."""

    matched: Matched
    predicted_unit: str
    calibration: Calibration | None
    """A new one, of these regions; None where they gave none, or another was held against them."""
    validation: Validation | None
    """Estimates beside measurements: of the calibration that was given, else of each patient from
    the others. None where there is no map at all."""
    why_no_map: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What it says, a sentence or a number a line."""
        counts = (
            f"{len(self.matched.region_keys)} regions of {len(self.matched.patient_names)} "
            f"patient{'s' if len(self.matched.patient_names) > 1 else ''}"
        )
        if self.validation is None:
            r = self.correlation
            told = "" if math.isnan(r) else f"; r {r:.2f} between predicted and measured"
            return (f"{counts}{told}", self.why_no_map, "Local: no map, no limits, no interval.")
        if self.calibration is not None:
            return (counts, *calibration_lines(self.calibration))
        found = self.validation
        told = f"measured within the interval: {found.inside} of {found.with_interval} regions"
        return (
            found.calibration.named(),
            found.whose,
            *(f"{name}: {text}" for name, text in agreement_rows(found.found)),
            *([told] if found.with_interval else []),
        )

    @property
    def correlation(self) -> float:
        """Pearson r of predicted and measured region means; NaN where one is constant."""
        predicted, measured = self.means
        if len(predicted) < 3 or not np.ptp(predicted) > 0 or not np.ptp(measured) > 0:
            return math.nan
        return float(pearsonr(predicted, measured).statistic)

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and measured, (regions,), in `Matched.region_keys`."""
        _, predicted, measured = by_region(self.matched, self.matched.predicted)
        return predicted, measured

    @property
    def figures(self) -> tuple[str, ...]:
        """SVG: estimates against measurements with the line of identity, and Bland–Altman; without
        a map the values alone, which have different units and no such line."""
        if self.validation is not None:
            return agreement_svg(self.validation), bland_altman_svg(self.validation)
        predicted, measured = self.means
        names = [" · ".join(key) for key in self.matched.region_keys]
        labels = f"measured {UNITS[self.matched.quantity]}", f"predicted, {self.predicted_unit}"
        return (values_svg(measured, predicted, names, labels),)


def compare(
    matched: Matched, by: CalibratedBy, calibration: Calibration | None = None
) -> Comparison:
    """How far predictions of matched regions are from what was measured.

    Parameters
    ----------
    calibration
        To hold against the regions. If omitted a new one is fitted, and each patient is estimated
        from the others.

    Raises
    ------
    BadTable
        The calibration gives another quantity, or is of matched cells where regions are given.
    """
    if calibration is not None:
        found = validate(calibration, matched, allow_seen=True)
        return Comparison(matched, by.predicted_unit, None, found)
    try:
        fitted = fit_calibration(matched, by)
    except BadTable as exc:
        return Comparison(matched, by.predicted_unit, None, None, str(exc))
    return Comparison(matched, by.predicted_unit, fitted, _held_out(matched, fitted))


def joined(parts: Sequence[Matched], where: str) -> Matched:
    """The rows of several tables in one.

    Raises
    ------
    BadTable
        Different quantities, regions beside cells, or a region twice.
    """
    first = parts[0]
    for part in parts[1:]:
        if (part.quantity, part.of_cells) != (first.quantity, first.of_cells):
            raise BadTable(
                f"Some rows have measured {UNITS[first.quantity]} and some {UNITS[part.quantity]}, "
                "or regions stand beside matched cells; compare one kind at a time."
            )
    whole = replace(
        first,
        patients=tuple(name for part in parts for name in part.patients),
        regions=tuple(name for part in parts for name in part.regions),
        predicted=np.concatenate([part.predicted for part in parts]),
        measured=np.concatenate([part.measured for part in parts]),
    )
    return checked(whole, where, lines=False)


def _held_out(matched: Matched, fitted: Calibration) -> Validation:
    """Each region with the estimate of the map that had not seen its patient."""
    _, estimated, measured = by_region(matched, held_out_estimates(matched))
    _, predicted, _ = by_region(matched, matched.predicted)
    name = fitted.named()
    rows = tuple(
        ValidatedRegion(
            patient=patient,
            region=region,
            predicted=float(predicted[i]),
            estimate=PredictedValue(name, float(estimated[i]), math.nan, math.nan, HELD_OUT),
            measured=float(measured[i]),
        )
        for i, (patient, region) in enumerate(matched.region_keys)
    )
    return Validation(fitted, rows, fitted.held_out, ())

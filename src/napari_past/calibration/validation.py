"""A calibration on regions that it was not made from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_past.calibration.agreement import agreement
from napari_past.calibration.matched import Matched
from napari_past.calibration.predict import PredictedValue, predicted_value
from napari_past.errors import BadTable
from napari_past.model.calibration import UNITS, Agreement, Calibration
from napari_past.model.patient import patient_digest


@dataclass(frozen=True)
class ValidatedRegion:
    """One region: estimated and measured."""

    patient: str
    region: str
    predicted: float
    """Mean in the model's unit."""
    estimate: PredictedValue
    measured: float

    @property
    def inside(self) -> bool | None:
        """Whether the interval holds what was measured; None without an interval."""
        if math.isnan(self.estimate.low):
            return None
        return self.estimate.low <= self.measured <= self.estimate.high


@dataclass(frozen=True)
class Validation:
    """The same comparison as in the calibration, on other regions."""

    calibration: Calibration
    regions: tuple[ValidatedRegion, ...]
    found: Agreement
    seen_patients: tuple[str, ...]
    """Patients of the calibration that are here again; the comparison then flatters."""

    @property
    def unit(self) -> str:
        return self.calibration.unit

    @property
    def with_interval(self) -> int:
        return sum(row.inside is not None for row in self.regions)

    @property
    def inside(self) -> int:
        """Regions whose interval holds what was measured."""
        return sum(row.inside is True for row in self.regions)

    @property
    def share(self) -> str:
        """`inside` of `with_interval`, and why regions are left out; empty without an interval."""
        if not self.with_interval:
            return ""
        told = f"{self.inside} of {self.with_interval} regions"
        left = len(self.regions) - self.with_interval
        if not left:
            return told
        lie = "1 lies" if left == 1 else f"{left} lie"
        return f"{told}; {lie} beyond the calibrated values, where no interval is known"

    @property
    def whose(self) -> str:
        """On whom it was validated, one line."""
        patients, regions = self.found.patients, self.found.regions
        told = f"{regions} regions of {patients} patient{'s' if patients > 1 else ''}"
        if not self.seen_patients:
            return f"{told}, none of whom was calibrated on"
        return f"{told}, {len(self.seen_patients)} of whom the calibration has seen"


def validate(
    calibration: Calibration,
    matched: Matched,
    *,
    allow_seen: bool = False,
) -> Validation:
    """Each region estimated as one of a new patient, and the agreement over all of them.

    Parameters
    ----------
    calibration
        Of the model and marker of the table.
    matched
        Of patients whom the calibration has not seen.
    allow_seen
        Go on where patients are the calibration's own, and tell it.

    Raises
    ------
    BadTable
        Patients were seen, another quantity was measured, or means of regions are held against a
        calibration of matched cells.
    """
    known = {entry.patient for entry in calibration.residuals}
    seen = tuple(name for name in matched.patient_names if patient_digest(name) in known)
    if seen and not allow_seen:
        several = len(seen) > 1
        who = f"Patients {seen[0]} and {len(seen) - 1} more" if several else f"Patient {seen[0]}"
        raise BadTable(
            f"{who} of these regions {'were' if several else 'was'} calibrated on, so "
            "they cannot validate it; give other patients, or --seen-patients to compare all the "
            "same."
        )
    if matched.quantity != calibration.quantity:
        raise BadTable(
            f"The calibration gives {calibration.unit}, but these regions have "
            f"{UNITS[matched.quantity]}; measure the same."
        )
    if calibration.level == "cells" and not matched.of_cells:
        raise BadTable(
            "The calibration is of matched cells, but these rows are regions; give matched cells "
            "with --same-section, or calibrate by region."
        )
    rows = []
    for i, (patient, region) in enumerate(matched.region_keys):
        here = matched.region_index == i
        values = matched.predicted[here]
        rows.append(
            ValidatedRegion(
                patient=patient,
                region=region,
                predicted=float(values.mean()),
                estimate=predicted_value(calibration, values),
                measured=float(matched.measured[here].mean()),
            )
        )
    place = {name: i for i, name in enumerate(matched.patient_names)}
    return Validation(
        calibration=calibration,
        regions=tuple(rows),
        found=agreement(
            np.array([row.estimate.value for row in rows]),
            np.array([row.measured for row in rows]),
            np.array([place[row.patient] for row in rows]),
        ),
        seen_patients=seen,
    )

"""From matched regions of several patients to a calibration that is judged by patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_past.calibration.agreement import agreement
from napari_past.calibration.matched import Matched
from napari_past.calibration.monotone import Knots, mapped, monotone_map
from napari_past.calibration.region_table import SCORE_UNIT
from napari_past.engine import chosen_cutoffs
from napari_past.errors import BadTable, MissingCutoffs
from napari_past.genes import Resolved
from napari_past.model import Model
from napari_past.model.calibration import UNITS, Calibration, PatientResiduals
from napari_past.model.patient import patient_digest

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CalibratedBy:
    """Of which values, and with which stain."""

    marker: str
    asked: str
    genes: tuple[str, ...]
    model: str
    model_version: str
    model_sha256: str
    predicted_unit: str
    clone: str = ""
    scanner: str = ""
    cutoffs: tuple[float, float, float] | None = None
    """Of scores; None where values are mapped."""

    @staticmethod
    def of(model: Model, resolved: Resolved, clone: str = "", scanner: str = "") -> CalibratedBy:
        return CalibratedBy(
            marker=resolved.label,
            asked=resolved.name.strip(),
            genes=resolved.symbols,
            model=model.name,
            model_version=model.card.version,
            model_sha256=model.sha256,
            predicted_unit=model.expression_unit,
            clone=clone.strip(),
            scanner=scanner.strip(),
        )

    def of_scores(self, model: Model, resolved: Resolved) -> CalibratedBy:
        """The same, of pseudo-H-scores at the cut-offs of the model's card."""
        cutoffs = card_cutoffs(model, resolved)
        return replace(self, predicted_unit=SCORE_UNIT, cutoffs=cutoffs)


def card_cutoffs(model: Model, resolved: Resolved) -> tuple[float, float, float] | None:
    """The cut-offs of a marker in a model's card; None where it has none."""
    try:
        return chosen_cutoffs(model, resolved).values
    except MissingCutoffs:
        return None


def fit_calibration(matched: Matched, by: CalibratedBy) -> Calibration:
    """The map fitted on all patients, with what it missed in each patient when it had not seen it.

    In the fit every patient has the same weight, however many regions it has. Each patient in turn
    is left out, the map is fitted on the others, and its regions are estimated; the limits of
    agreement and the intervals of predictions come from these differences alone.

    Raises
    ------
    BadTable
        One patient, constant predictions, or measurements that do not rise with them.
    """
    if len(matched.patient_names) < 2:
        raise BadTable(
            f"All {len(matched.region_keys)} regions are of patient {matched.patients[0]}, but a "
            "calibration is judged on patients left out; give two at least, better ten."
        )
    if not np.ptp(matched.predicted) > 0:
        raise BadTable(
            f"Every predicted value is {matched.predicted[0]:g}, so nothing can be calibrated; "
            "check the column, or the gene."
        )
    knots = map_of(matched, np.ones(len(matched), np.bool_))
    if not knots[-1][1] > knots[0][1]:
        raise BadTable(
            f"The measured {UNITS[matched.quantity]} does not rise with the predicted values, so "
            "there is no map to fit; check the marker, and that regions are matched."
        )
    estimated = held_out_estimates(matched)
    patient, of_region, measured = by_region(matched, estimated)
    missed = of_region - measured
    return Calibration(
        marker=by.marker,
        asked=by.asked,
        genes=by.genes,
        model=by.model,
        model_version=by.model_version,
        model_sha256=by.model_sha256,
        predicted_unit=by.predicted_unit,
        quantity=matched.quantity,
        level="cells" if matched.of_cells else "regions",
        clone=by.clone,
        scanner=by.scanner,
        knots=knots,
        held_out=agreement(of_region, measured, patient),
        residuals=tuple(
            PatientResiduals(
                patient=patient_digest(name),
                residuals=tuple(float(v) for v in missed[patient == i]),
            )
            for i, name in enumerate(matched.patient_names)
        ),
        cell_sd=_cell_sd(matched, estimated),
        cutoffs=by.cutoffs,
    )


def map_of(matched: Matched, rows: npt.NDArray[np.bool_]) -> Knots:
    """The map fitted on some of the rows, every patient with the same weight."""
    patient = matched.patient_index[rows]
    weights = 1 / np.bincount(patient)[patient]
    x, y = matched.predicted[rows], matched.measured[rows]
    if np.ptp(x) > 0:
        return monotone_map(x, y, weights)
    # What is left when a patient is held out may be one value: a level map.
    level = float(np.average(y, weights=weights))
    return ((float(x[0]), level), (float(np.nextafter(x[0], np.inf)), level))


def held_out_estimates(matched: Matched) -> FloatArray:
    """(n,), of each row from the map of the other patients."""
    estimated = np.empty(len(matched))
    for out in _patients(matched):
        estimated[out] = mapped(map_of(matched, ~out), matched.predicted[out])
    return estimated


def by_region(
    matched: Matched, estimated: FloatArray
) -> tuple[npt.NDArray[np.intp], FloatArray, FloatArray]:
    """Patient number, mean estimate and mean measurement of each region, in `region_keys`."""
    region = matched.region_index
    counts = np.bincount(region)
    patient = np.empty(len(counts), np.intp)
    patient[region] = matched.patient_index
    means = (np.bincount(region, v) / counts for v in (estimated, matched.measured))
    return (patient, *means)  # type: ignore[return-value]


def _patients(matched: Matched) -> Iterator[npt.NDArray[np.bool_]]:
    for i in range(len(matched.patient_names)):
        yield matched.patient_index == i


def _cell_sd(matched: Matched, estimated: FloatArray) -> float | None:
    """The cells' standard deviation within a region, every region with the same weight."""
    if not matched.of_cells:
        return None
    region = matched.region_index
    counts = np.bincount(region)
    missed = estimated - matched.measured
    centred = missed - (np.bincount(region, missed) / counts)[region]
    squares = np.bincount(region, centred**2)[counts > 1] / (counts[counts > 1] - 1)
    return float(np.sqrt(squares.mean())) if len(squares) else None

"""Predicted beside measured regions before anything is saved."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.calibration import fit_calibration
from napari_past.calibration.comparison import compare, joined
from napari_past.errors import BadTable


def test_patients_are_estimated_from_the_others(sim):
    matched = sim.patients(12, seed=1)
    found = compare(matched, sim.by)
    assert found.calibration == fit_calibration(matched, sim.by)
    rows = found.validation.regions
    off = [row.estimate.value - row.measured for row in rows]
    told = {r.patient: r.residuals for r in found.calibration.residuals}
    assert sorted(off) == pytest.approx(sorted(v for values in told.values() for v in values))
    assert all(np.isnan(row.estimate.low) for row in rows), "a held-out estimate has no interval"
    assert found.lines[0] == "72 regions of 12 patients"
    assert "estimated for each patient from the others:" in found.lines
    agreement, bland_altman = found.figures
    assert agreement.count("<circle") == bland_altman.count("<circle") == 72
    assert 'stroke-dasharray="5 4"' in agreement, "the line of identity"
    assert bland_altman.count("95 % limit") == 2


@pytest.mark.parametrize(("patients", "limits"), [(2, 0), (4, 2)])
def test_few_patients_are_local(sim, patients, limits):
    found = compare(sim.patients(patients), sim.by)
    assert "local calibration" in "\n".join(found.lines)
    assert found.figures[1].count("95 % limit") == limits


def test_one_patient_is_shown_but_not_calibrated(sim):
    found = compare(sim.patients(1, regions=8), sim.by)
    assert (found.calibration, found.validation) == (None, None)
    (figure,) = found.figures
    assert figure.count("<circle") == 8
    assert "stroke-dasharray" not in figure, "different units have no line of identity"
    first, why, last = found.lines
    assert first.startswith("8 regions of 1 patient; r 0.")
    assert "give two at least" in why
    assert last == "Local: no map, no limits, no interval."


def test_a_calibration_is_held_against_other_patients(sim):
    calibration = fit_calibration(sim.patients(12, seed=1), sim.by)
    found = compare(sim.patients(5, seed=2), sim.by, calibration)
    assert found.calibration is None
    assert "none of whom was calibrated on" in found.lines[1]
    assert found.validation.with_interval > 20
    assert "95 % interval" in found.figures[0]


def test_tables_are_joined(sim):
    a, b = sim.patients(2, seed=1), sim.patients(3, seed=2)
    whole = joined([a, b], "both")
    assert whole.patients == a.patients + b.patients
    assert whole.measured == pytest.approx(np.concatenate([a.measured, b.measured]))
    scores = sim.matched([[1.0, 2]], [[10.0, 20]], ["x"], quantity="h-score")
    with pytest.raises(BadTable, match="one kind at a time"):
        joined([a, scores], "both")
    with pytest.raises(BadTable, match="twice"):
        joined([a, a], "both")

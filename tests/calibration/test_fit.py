"""A calibration on simulated patients recovers the known map and knows how far off it is."""

from dataclasses import replace

import numpy as np
import pytest

from napari_past.calibration import (
    fit_calibration,
    predicted_h_score,
    predicted_value,
)
from napari_past.calibration.fit import held_out_estimates
from napari_past.calibration.monotone import mapped
from napari_past.errors import BadTable, MissingCutoffs
from napari_past.model.patient import patient_digest
from napari_past.stain import expected_h_score
from napari_past.stain.dab import DAB_CUTOFFS


@pytest.mark.parametrize(("k", "error"), [(10, 0.06), (40, 0.03), (160, 0.02)])
def test_the_known_map_is_recovered(sim, k, error):
    """Root mean squared error between 0.3 and 1.3; patients are off by 0.05, regions by 0.03."""
    calibration = fit_calibration(sim.patients(k, 8, seed=k), sim.by)
    places = np.linspace(0.3, 1.3, 101)
    off = mapped(calibration.knots, places) - sim.true_density(places)
    assert np.sqrt(np.mean(off**2)) < error


def test_the_spread_of_patients_and_regions_is_recovered(sim):
    found = fit_calibration(sim.patients(160, 8, seed=1), sim.by).held_out
    assert found.between_sd == pytest.approx(0.05, abs=0.01)
    assert found.within_sd == pytest.approx(0.03, abs=0.005)
    assert found.bias == pytest.approx(0, abs=0.01)
    low, high = found.limits
    assert (low, high) == pytest.approx((-0.114, 0.114), abs=0.02)


def test_a_judged_patient_is_never_in_the_fit(sim):
    """Whatever is measured in a patient, the estimates for this patient stay."""
    rows = sim.patients(6, seed=2)
    of_one = np.array(rows.patients) == "s2p3"
    other = replace(rows, measured=np.where(of_one, rows.measured + 0.4, rows.measured))
    before, after = held_out_estimates(rows), held_out_estimates(other)
    assert np.array_equal(before[of_one], after[of_one])
    assert not np.array_equal(before[~of_one], after[~of_one])


def test_the_order_of_rows_does_not_matter_and_names_are_not_kept(sim):
    rows = sim.patients(5, seed=3)
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = replace(
        rows,
        patients=tuple(rows.patients[i] for i in order),
        regions=tuple(rows.regions[i] for i in order),
        predicted=rows.predicted[order],
        measured=rows.measured[order],
    )
    one, two = (fit_calibration(r, sim.by) for r in (rows, shuffled))
    assert np.allclose(one.knots, two.knots)
    assert [r.patient for r in one.residuals] == [r.patient for r in two.residuals]
    assert one.held_out.limits == pytest.approx(two.held_out.limits)
    assert "s3p" not in one.model_dump_json()
    assert patient_digest(" s3p0 ") in one.model_dump_json()


@pytest.mark.parametrize(
    ("k", "name"),
    [
        (2, "predicted H-score (local calibration: SP1, 2 patients)"),
        (9, "predicted H-score (local calibration: SP1, 9 patients)"),
        (10, "predicted H-score (calibrated: SP1, 10 patients)"),
    ],
)
def test_the_name_tells_clone_and_patients(sim, k, name):
    rows = replace(sim.patients(k), measured=300 * sim.patients(k).measured, quantity="h-score")
    assert predicted_h_score(fit_calibration(rows, sim.by), [0.5]).name == name


def test_under_three_patients_there_is_no_interval(sim):
    found = predicted_value(fit_calibration(sim.patients(2), sim.by), [0.6])
    assert np.isfinite(found.value)
    assert np.isnan([found.low, found.high]).all()
    assert "fewer than 3 patients" in found.note


def test_the_interval_by_hand(sim):
    # Left out, patients are missed by 0.15, 0 and −0.15: the others' means are 0.25, 0.2, 0.15.
    x = np.array([[0.0, 1.0]] * 3)
    rows = sim.matched(x, x + np.array([[0.1], [0.2], [0.3]]), "abc")
    calibration = fit_calibration(rows, sim.by)
    assert np.allclose(calibration.knots, [(0, 0.2), (1, 1.2)])
    assert calibration.held_out.between_sd == pytest.approx(0.15)
    assert calibration.held_out.within_sd == pytest.approx(0, abs=1e-9)
    found = predicted_value(calibration, [0.5, 0.9, np.nan])
    reach = 4.302653 * 0.15
    assert (found.value, found.low, found.high) == pytest.approx((0.9, 0.9 - reach, 0.9 + reach))
    assert predicted_value(calibration, [0.1]).low == 0, "no density is negative"


def test_beyond_what_was_calibrated_there_is_no_interval(sim):
    calibration = fit_calibration(sim.patients(12), sim.by)
    found = predicted_value(calibration, [50.0])
    assert found.value == calibration.knots[-1][1]
    assert np.isnan(found.low)
    assert "beyond what was calibrated" in found.note
    nothing = predicted_value(calibration, [np.nan])
    assert np.isnan(nothing.value)
    assert nothing.note == "no cells"


def test_an_h_score_from_cells_sums_probabilities(sim):
    rows = replace(sim.patients(12), of_cells=True)
    calibration = fit_calibration(rows, sim.by).model_copy(update={"cell_sd": 0.18})
    found = predicted_h_score(calibration, [0.4, 0.8], DAB_CUTOFFS)
    by_hand = expected_h_score(mapped(calibration.knots, [0.4, 0.8]), 0.18, DAB_CUTOFFS)
    assert found.value == pytest.approx(by_hand)
    assert found.low < found.value < found.high


def test_mean_densities_of_regions_tell_no_h_score(sim):
    """Half of the cells at 0 and half at 1 have an H-score of 150, all at 0.5 have 200."""
    calibration = fit_calibration(sim.patients(12), sim.by)
    assert calibration.cell_sd is None
    with pytest.raises(MissingCutoffs, match="--measured h-score"):
        predicted_h_score(calibration, [0.6], DAB_CUTOFFS)


def test_h_scores_are_calibrated_directly(sim):
    x = np.linspace(0, 1, 5) + np.array([[0.0], [0.01], [0.02], [0.03]])
    rows = sim.matched(x, 300 * x / x.max(), "abcd", quantity="h-score")
    calibration = fit_calibration(rows, sim.by)
    assert calibration.cell_sd is None
    found = predicted_h_score(calibration, [0.5])
    assert found.value == pytest.approx(300 * 0.5 / x.max(), abs=5)
    assert found.name == "predicted H-score (local calibration: SP1, 4 patients)"
    assert predicted_h_score(calibration, [x.max()]).high == 300


def test_matched_cells_give_the_spread_of_cells_around_the_map(sim):
    """Cells of a section stained again: 4 regions of 8 patients with 100 cells each."""
    rng = np.random.default_rng(9)
    x = rng.uniform(0.1, 1.2, (8, 400))
    patient, region = rng.normal(0, 0.03, (8, 1)), np.repeat(rng.normal(0, 0.02, (8, 4)), 100, 1)
    y = np.clip(0.3 + 0.4 * x + patient + region + rng.normal(0, 0.1, x.shape), 0, None)
    rows = sim.matched(x, y, "abcdefgh", of_cells=True)
    rows = replace(rows, regions=tuple(f"R{j // 100}" for _ in range(8) for j in range(400)))
    calibration = fit_calibration(rows, sim.by)
    assert calibration.level == "cells"
    assert calibration.held_out.regions == 32, "agreement is of regions, not of cells"
    assert calibration.cell_sd == pytest.approx(0.1, abs=0.01)
    cells = rng.uniform(0.1, 1.2, 4000)
    truth = expected_h_score(0.3 + 0.4 * cells, 0.1, DAB_CUTOFFS)
    found = predicted_h_score(calibration, cells, DAB_CUTOFFS)
    assert found.value == pytest.approx(truth, abs=12)
    assert found.low < truth < found.high


def test_intervals_hold_new_patients_at_small_n(sim):
    """At 5 and 10 patients 95 % or more, over 60 calibrations and 40 new patients each."""
    for k in (5, 10):
        held = []
        for seed in range(60):
            calibration = fit_calibration(sim.patients(k, seed=seed), sim.by)
            new = sim.patients(40, 1, seed=1000 + seed)
            for x, y in zip(new.predicted, new.measured, strict=True):
                found = predicted_value(calibration, [x])
                if np.isfinite(found.low):
                    held.append(found.low <= y <= found.high)
        assert np.mean(held) > 0.94, k
        assert len(held) > 1500


@pytest.mark.parametrize(
    ("x", "y", "patients", "message"),
    [
        ([[0.1, 0.5]], [[0.1, 0.2]], "a", "patients left out; give two at least"),
        ([[0.4, 0.4], [0.4, 0.4]], [[0.1, 0.2], [0.3, 0.1]], "ab", "Every predicted value is 0.4"),
        ([[0.1, 0.5], [0.2, 0.6]], [[0.4, 0.2], [0.3, 0.1]], "ab", "does not rise"),
    ],
    ids=["one patient", "constant", "falling"],
)
def test_what_cannot_be_calibrated_is_refused(sim, x, y, patients, message):
    with pytest.raises(BadTable, match=message):
        fit_calibration(sim.matched(x, y, patients), sim.by)

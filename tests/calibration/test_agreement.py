"""Limits of agreement clustered by patient: by hand and in a simulation."""

import numpy as np
import pytest

from napari_past.calibration.agreement import agreement, variance_components


def test_components_by_hand():
    # Means 1, 3, 5; inside squares 6 · 1; mean squares: between 2 · 8 / 2 = 8, within 6 / 3 = 2.
    values = np.array([0.0, 2.0, 2.0, 4.0, 4.0, 6.0])
    assert variance_components(values, np.array([0, 0, 1, 1, 2, 2])) == pytest.approx((3, 2))


def test_an_unbalanced_layout_by_hand():
    # n0 = (4 − (9 + 1) / 4) / 1 = 1.5; between 3 · 1 + 1 · 9 = 12; within 2 / 2 = 1; 11 / 1.5.
    values = np.array([-1.0, 0.0, 1.0, 4.0])
    found = variance_components(values, np.array([0, 0, 0, 1]))
    assert found == pytest.approx((11 / 1.5, 1))


def test_without_repetition_all_is_between():
    values = np.array([1.0, 2.0, 6.0])
    assert variance_components(values, np.arange(3)) == pytest.approx((np.var(values, ddof=1), 0))


def test_less_between_than_chance_is_none():
    assert variance_components(np.array([0.0, 2.0, 0.0, 2.0]), np.array([0, 0, 1, 1]))[0] == 0


def test_agreement_by_hand():
    measured = np.array([0.1, 0.3, 0.2, 0.4, 0.5, 0.9])
    difference = np.array([0.0, 2.0, 2.0, 4.0, 4.0, 6.0]) / 100
    found = agreement(measured + difference, measured, np.array([0, 0, 1, 1, 2, 2]))
    assert (found.patients, found.regions) == (3, 6)
    assert found.bias == pytest.approx(0.03)
    reach = 1.96 * 5**0.5 / 100
    assert found.limits == pytest.approx((0.03 - reach, 0.03 + reach))
    assert found.deviation == pytest.approx(5**0.5 / 100)
    assert found.rank_correlation == pytest.approx(1.0)


def test_every_patient_has_one_voice_in_the_bias():
    found = agreement(np.array([1.0, 1.0, 1.0, 5.0]), np.zeros(4), np.array([0, 0, 0, 1]))
    assert found.bias == pytest.approx(3.0)
    assert found.limits is None, "two patients have no limits"
    assert found.correlation is None, "what is constant has no correlation"


def test_components_are_found_again():
    rng = np.random.default_rng(5)
    patients = np.repeat(np.arange(400), 5)
    values = rng.normal(0, 0.2, 400)[patients] + rng.normal(0, 0.1, len(patients))
    between, within = variance_components(values, patients)
    assert between == pytest.approx(0.04, rel=0.15)
    assert within == pytest.approx(0.01, rel=0.1)

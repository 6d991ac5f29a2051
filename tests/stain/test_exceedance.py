"""Scores from the predictive distribution: by hand, by an oracle, and their bias."""

from statistics import NormalDist

import numpy as np
import pytest

from napari_past.stain import classes, exceedance, expected_classes, expected_h_score, h_score
from napari_past.types import Cutoffs

CUTOFFS = Cutoffs(1.0, 2.0, 3.0, "given")


def test_probabilities_are_those_of_the_normal_distribution():
    found = exceedance([1.5, 3.0], [0.5, 2.0], CUTOFFS)
    for row, mean, deviation in zip(found, (1.5, 3.0), (0.5, 2.0), strict=True):
        oracle = [1 - NormalDist(mean, deviation).cdf(limit) for limit in CUTOFFS.values]
        assert row == pytest.approx(oracle, abs=1e-12)


def test_by_hand():
    # On its second cut-off, and certain of nothing else: half of the cells reach 2+.
    assert expected_h_score([2.0], 1e-9, CUTOFFS) == pytest.approx(150.0)
    assert expected_classes([2.0], 1e-9, CUTOFFS) == pytest.approx([0, 0.5, 0.5, 0])
    assert expected_h_score([-50.0, 50.0], 1.0, CUTOFFS) == pytest.approx(150.0)


def test_certain_values_are_counted_like_classes():
    values = np.array([0.5, 1.0, 2.0, 3.0, 2.5])
    counts = np.bincount(classes(values, CUTOFFS), minlength=4)
    assert expected_h_score(values, 0.0, CUTOFFS) == pytest.approx(h_score(counts))
    assert expected_classes(values, 0.0, CUTOFFS) == pytest.approx(counts / 5)


def test_cells_without_a_value_do_not_count_and_none_give_nan():
    assert expected_h_score([2.0, np.nan, 2.0], [1, 1, np.nan], CUTOFFS) == expected_h_score(
        [2.0], 1.0, CUTOFFS
    )
    for nothing in ([], [np.nan]):
        assert np.isnan(expected_h_score(nothing, 1.0, CUTOFFS))
        assert np.isnan(expected_classes(nothing, 1.0, CUTOFFS)).all()


@pytest.mark.parametrize(
    ("mean", "deviation", "message"),
    [
        (np.zeros((2, 2)), 1.0, "one deviation or"),
        (np.zeros(3), np.ones(2), "one deviation or"),
        (np.zeros(2), [-1.0, 1.0], "not negative"),
    ],
)
def test_what_does_not_fit_is_refused(mean, deviation, message):
    with pytest.raises(ValueError, match=message):
        expected_h_score(mean, deviation, CUTOFFS)


@pytest.mark.parametrize(
    ("quantiles", "true", "counted"),
    [((0.5, 0.75, 0.95), 80, 51), ((0.2, 0.4, 0.7), 170, 184), ((0.2, 0.5, 0.8), 150, 150)],
)
def test_at_r_03_counted_means_are_biased_and_exceedance_is_not(quantiles, true, counted):
    """Stain y of a cell, of which its picture tells r = 0.3; cut-offs at quantiles of y."""
    rng = np.random.default_rng(7)
    r, n = 0.3, 200_000
    seen = rng.normal(size=n)
    stain = r * seen + np.sqrt(1 - r**2) * rng.normal(size=n)
    mean, deviation = r * seen, np.sqrt(1 - r**2)
    assert np.corrcoef(stain, mean)[0, 1] == pytest.approx(r, abs=0.01)
    cutoffs = Cutoffs(*(NormalDist().inv_cdf(q) for q in quantiles), "quantiles")
    of_stain, of_means = (np.bincount(classes(v, cutoffs), minlength=4) for v in (stain, mean))
    assert h_score(of_stain) == pytest.approx(true, abs=1)
    assert h_score(of_means) == pytest.approx(counted, abs=1)
    assert of_means[3] < 0.2 * of_stain[3], "3+ is emptied"
    assert of_means[0] < 0.05 * of_stain[0] or quantiles[0] == 0.5, "and 0, where it is a tail"
    assert expected_h_score(mean, deviation, cutoffs) == pytest.approx(true, abs=1)
    assert expected_classes(mean, deviation, cutoffs) == pytest.approx(of_stain / n, abs=0.005)


def test_too_small_a_deviation_brings_the_bias_back():
    rng = np.random.default_rng(8)
    mean = 0.3 * rng.normal(size=50_000)
    cutoffs = Cutoffs(*(NormalDist().inv_cdf(q) for q in (0.5, 0.75, 0.95)), "quantiles")
    right, small = (expected_h_score(mean, d, cutoffs) for d in (np.sqrt(0.91), 0.1))
    assert right == pytest.approx(80, abs=1)
    assert small < 65

"""The regression and its measure, against the same by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from past_training.benchmark.probe import components_of, fitted, scores
from past_training.benchmark.recipe import Probe
from past_training.benchmark.result import TaskScores

PROBE = Probe(components=3, penalty=100.0, iterations=1000, seed=1)


def drawn_rows(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 6)) * [9, 5, 3, 1, 1, 1] + 4
    weights = np.random.default_rng(0).normal(size=(6, 2))
    return vectors, vectors @ weights + rng.normal(size=(n, 2)) + 7


def by_hand(train, measured, test):
    """Standardise, leading right singular vectors, normal equations with alpha = 100 / (3 x 2)."""
    mean, deviation = train.mean(0), train.std(0)
    standard = (train - mean) / deviation
    axes = np.linalg.svd(standard, full_matrices=False)[2][:3].T
    x = standard @ axes
    weights = np.linalg.solve(x.T @ x + 100 / 6 * np.eye(3), x.T @ measured)
    return (test - mean) / deviation @ axes @ weights


def test_prediction_is_ridge_without_intercept_on_components():
    (train, measured), (test, _) = drawn_rows(1, 60), drawn_rows(2, 20)
    found = fitted(train, measured, PROBE).predict(test)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(train, measured, test), rtol=2e-3, atol=2e-3)


def test_r_is_that_of_scipy_over_all_held_out_rows():
    (train, measured), (test, held) = drawn_rows(1, 60), drawn_rows(2, 20)
    found = fitted(train, measured, PROBE).predict(test)
    expected = [pearsonr(found[:, g], held[:, g])[0] for g in range(2)]
    np.testing.assert_allclose(scores(found, held), expected, rtol=1e-6)


def test_a_constant_measurement_has_no_r_and_a_constant_prediction_counts_as_zero():
    values = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]], np.float32)
    measured = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    np.testing.assert_array_equal(scores(values, measured), [0.0, np.nan])


@pytest.mark.parametrize(("rows", "numbers", "kept"), [(500, 9, 3), (2, 9, 2), (500, 1, 1)])
def test_components_are_no_more_than_there_are(rows, numbers, kept):
    assert components_of(PROBE, rows, numbers) == kept


def test_mean_and_deviation_are_over_folds():
    found = TaskScores(("A", "B"), np.array([[0.1, 0.3], [0.5, np.nan], [0.6, 0.2]]), 3)
    np.testing.assert_allclose(found.fold_means, [0.2, 0.5, 0.4])
    assert found.mean == pytest.approx(np.mean([0.2, 0.5, 0.4]))
    assert found.deviation == pytest.approx(np.std([0.2, 0.5, 0.4]))
    assert found.without_r == 1
    assert found.among(("B",)).r.ravel().tolist()[0] == 0.3

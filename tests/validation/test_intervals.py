"""Intervals where there are enough patients, and a null that knows that neighbours are alike."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import bootstrap

from napari_past.errors import PastError
from napari_past.validation.intervals import bootstrap_mean, permutation_null, spatial_blocks
from napari_past.validation.metrics import pearson


def test_no_interval_under_five():
    four = {name: [0.3] for name in "ABCD"}
    assert bootstrap_mean(four) is None
    assert bootstrap_mean(four | {"E": [float("nan")]}) is None
    assert bootstrap_mean(four | {"E": [0.3]}) is not None


def test_interval_is_scipys():
    values = np.random.default_rng(0).normal(0.3, 0.1, 12)
    found = bootstrap_mean({str(i): [v] for i, v in enumerate(values)})
    assert found is not None
    expected = bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.units == 12
    np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=0.003)


def test_a_patient_counts_once_however_many_sections():
    many = {"A": [1.0] * 50} | {name: [0.0] for name in "BCDEF"}
    once = {"A": [1.0]} | {name: [0.0] for name in "BCDEF"}
    assert bootstrap_mean(many) == bootstrap_mean(once)


def test_blocks_are_compact_and_all_used():
    y, x = np.mgrid[0:20, 0:30]
    row_um = np.stack([x.ravel() * 100.0, y.ravel() * 100.0 + 5000], axis=1)
    blocks = spatial_blocks(row_um)
    assert 20 <= len(np.unique(blocks)) <= 35
    for block in np.unique(blocks):
        assert np.ptp(row_um[blocks == block], axis=0).max() <= 600
    line = np.stack([np.arange(50.0), np.zeros(50)], axis=1)
    assert len(np.unique(spatial_blocks(line))) >= 20
    assert len(spatial_blocks(np.zeros((0, 2)))) == 0


def test_null_of_noise_is_around_zero():
    rng = np.random.default_rng(0)
    predicted, measured = rng.normal(size=(2, 300, 8)).astype(np.float32)
    null = permutation_null(predicted, measured, np.arange(300) // 12, 300, seed=0)
    assert null.shape == (300, 8)
    assert abs(null.mean()) < 0.01
    assert null.std() == pytest.approx(1 / np.sqrt(299), rel=0.15)


def test_null_breaks_a_perfect_prediction_and_keeps_constants_apart():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(240, 2)).astype(np.float32)
    predicted = measured.copy()
    predicted[:, 1] = 1
    null = permutation_null(predicted, measured, np.arange(240) // 10, 200, seed=0)
    assert pearson(predicted, measured)[0] == pytest.approx(1)
    assert np.quantile(np.abs(null[:, 0]), 0.95) < 0.35
    assert np.isnan(null[:, 1]).all()


def test_alike_neighbours_widen_the_null():
    """Two smooth maps that have nothing to do with each other: single rows shuffled would make
    their r look significant far more often than blocks do."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(24, 24, 2)), (3, 3, 0)).reshape(-1, 2)
    y, x = np.mgrid[0:24, 0:24]
    blocks = spatial_blocks(np.stack([x.ravel(), y.ravel()], axis=1).astype(float))
    predicted, measured = smooth[:, :1], smooth[:, 1:]
    by_block = permutation_null(predicted, measured, blocks, 300, seed=0).std()
    by_row = permutation_null(predicted, measured, np.arange(576), 300, seed=0).std()
    assert by_block > 2 * by_row


def test_too_few_blocks():
    with pytest.raises(PastError, match="at least 6 blocks"):
        permutation_null(np.ones((9, 1)), np.ones((9, 1)), np.arange(9) // 2, 10, seed=0)

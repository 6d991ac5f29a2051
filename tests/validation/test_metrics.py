"""Figures of merit against other implementations and hand numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_squared_error, roc_auc_score

from napari_past.validation.metrics import (
    detection_auc,
    explained,
    pearson,
    pearson_per_row,
    rmse,
    spearman,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    measured = np.maximum(rng.normal(0.5, 2, (40, 5)), 0).astype(np.float32)  # ties at zero
    predicted = (0.3 * measured + rng.normal(size=(40, 5))).astype(np.float32)
    return predicted, measured


def test_pearson_is_scipys(pair):
    predicted, measured = pair
    expected = [pearsonr(predicted[:, k], measured[:, k]).statistic for k in range(5)]
    np.testing.assert_allclose(pearson(predicted, measured), expected, atol=1e-6)


def test_pearson_of_a_constant_is_no_number():
    flat, any_ = np.ones((6, 1), np.float32), np.arange(6, dtype=np.float32)[:, None]
    assert np.isnan(pearson(flat, any_)).all()
    assert np.isnan(pearson(any_, flat)).all()
    np.testing.assert_allclose(pearson(any_, -any_), -1)


def test_pearson_of_rows(pair):
    predicted, measured = pair
    expected = [pearsonr(p, m).statistic for p, m in zip(predicted, measured, strict=True)]
    np.testing.assert_allclose(pearson_per_row(predicted, measured), expected, atol=1e-6)


def test_spearman_is_scipys_with_ties(pair):
    predicted, measured = pair
    assert (measured == 0).sum() > 10
    expected = [spearmanr(predicted[:, k], measured[:, k]).statistic for k in range(5)]
    np.testing.assert_allclose(spearman(predicted, measured), expected, atol=1e-6)
    flat = np.ones((40, 5), np.float32)
    assert np.isnan(spearman(predicted, flat)).all()


def test_spearman_of_a_missing_value_is_no_number(pair):
    predicted, measured = pair
    predicted[3, 1] = np.nan
    result = spearman(predicted, measured)
    assert np.isnan(result).tolist() == [False, True, False, False, False]


def test_rmse(pair):
    predicted, measured = pair
    expected = np.sqrt(mean_squared_error(measured, predicted, multioutput="raw_values"))
    np.testing.assert_allclose(rmse(predicted, measured), expected, rtol=1e-6)
    assert rmse(np.array([[1.0], [4.0]]), np.array([[1.0], [0.0]])).tolist() == [np.sqrt(8)]


def test_detection_auc_is_sklearns(pair):
    predicted, measured = pair
    predicted = np.round(predicted)  # ties
    seen = measured > 0
    expected = [roc_auc_score(seen[:, k], predicted[:, k]) for k in range(5)]
    np.testing.assert_allclose(detection_auc(predicted, seen), expected, atol=1e-12)


def test_detection_of_what_is_always_or_never_seen():
    predicted = np.arange(4.0)[:, None].repeat(4, axis=1)
    predicted[0, 3] = np.nan
    seen = np.array([[1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 1, 0], [1, 0, 1, 1]], bool)
    result = detection_auc(predicted, seen)
    assert np.isnan(result).tolist() == [True, True, False, True]
    assert result[2] == 1.0
    assert detection_auc(np.ones((4, 1)), seen[:, 2:3]).tolist() == [0.5]


def test_a_constant_prediction_counts_as_nothing_explained():
    """Silence must not raise a mean over genes; a gene that does not vary is nobody's fault."""
    measured = np.array([[0, 1, 2, 5], [1, 3, 2, 5], [2, 2, 2, 5]], np.float32)
    predicted = np.array([[0, 7, 1, 4], [1, 7, 2, 4], [2, 7, 3, 5]], np.float32)
    result = explained(pearson(predicted, measured), measured)
    np.testing.assert_allclose(result, [1, 0, np.nan, np.nan])

"""Figures of merit against other implementations and hand numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import pearsonr

from past_training.evaluate import best_expressed, most_variable
from past_training.evaluation.metrics import pearson
from past_training.spatial_transcriptomics import log1p_cp10k

GENES = ["A", "B", "C"]


def counts(rows: list[list[int]], genes: list[str] = GENES) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=genes)


def test_pearson_is_scipys():
    rng = np.random.default_rng(0)
    measured = rng.normal(3, 2, (40, 5)).astype(np.float32)
    predicted = (0.3 * measured + rng.normal(size=(40, 5))).astype(np.float32)
    expected = [pearsonr(predicted[:, k], measured[:, k]).statistic for k in range(5)]
    np.testing.assert_allclose(pearson(predicted, measured), expected, atol=1e-6)


def test_pearson_of_a_constant_is_no_number():
    flat, any_ = np.ones((6, 1), np.float32), np.arange(6, dtype=np.float32)[:, None]
    assert np.isnan(pearson(flat, any_)).all()
    assert np.isnan(pearson(any_, flat)).all()
    np.testing.assert_allclose(pearson(any_, -any_), -1)


def test_counts_per_10k():
    table = counts([[1, 3, 6], [0, 0, 5]])
    expected = [[np.log(1 + 1000), 0, np.log(1 + 6000)], [0, 0, np.log(10001)]]
    np.testing.assert_allclose(log1p_cp10k(table, ["A", "D", "C"]), expected, rtol=1e-6)


def test_best_expressed_weighs_spots_not_counts():
    """B leads in one spot by far, A is everywhere; a gene that a section lacks is zero there."""
    first = counts([[10, 990, 0], [10, 0, 0], [10, 0, 0]])
    second = counts([[10, 5], [10, 5]], ["A", "C"])
    assert best_expressed([first, second], 2) == ["A", "C"]
    assert best_expressed([first, second], 3) == ["A", "C", "B"]


def test_most_variable():
    table = counts([[100, 99, 1], [100, 60, 40], [100, 80, 20], [100, 90, 10]])
    assert most_variable([table], GENES, 3) == ["C", "B", "A"]

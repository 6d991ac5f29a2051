"""Genes are chosen as published figures were, whatever the arrays are kept in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.validation.genes import (
    best_expressed,
    expression_matched,
    log1p_cp10k,
    mean_and_deviation,
    most_variable,
)

GENES = ["C", "A", "B"]


def values(rows: list[list[int]]) -> csr_array:
    """Columns C, A, B; the rows' own sums are their library sizes."""
    counts = csr_array(np.array(rows, np.float32))
    return log1p_cp10k(counts, np.asarray(counts.sum(axis=1)))


def test_counts_per_10k_of_the_whole_library():
    counts = csr_array(np.array([[1, 0, 3], [0, 5, 0]], np.float32))
    result = log1p_cp10k(counts, np.array([10, 5]))  # the first row has six counts elsewhere
    assert result.dtype == np.float32
    expected = [[np.log(1 + 1000), 0, np.log(1 + 3000)], [0, np.log(10001), 0]]
    np.testing.assert_allclose(result.toarray(), expected, rtol=1e-6)


def test_mean_and_deviation_over_sections():
    parts = [values([[1, 0, 9], [5, 5, 0]]), values([[0, 2, 2]])]
    dense = np.concatenate([p.toarray() for p in parts]).astype(float)
    mean, deviation = mean_and_deviation(parts)
    np.testing.assert_allclose(mean, dense.mean(0))
    np.testing.assert_allclose(deviation, dense.std(0), atol=1e-12)


def test_without_rows():
    with pytest.raises(PastError, match="no training row"):
        mean_and_deviation([csr_array((0, 3), dtype=np.float32)])


def test_best_expressed_weighs_rows_not_counts():
    """B leads in one row by far, A is everywhere."""
    parts = [values([[0, 10, 990], [0, 10, 0], [0, 10, 0]]), values([[5, 10, 0], [5, 10, 0]])]
    assert best_expressed(parts, GENES, 2) == ["A", "C"]
    assert best_expressed(parts, GENES, 9) == ["A", "C", "B"]


def test_equals_are_ordered_by_the_alphabet():
    assert best_expressed([values([[4, 4, 4], [7, 7, 7]])], GENES, 2) == ["A", "B"]


def test_most_variable_among_those_given():
    part = values([[1, 100, 99], [40, 100, 60], [20, 100, 80], [10, 100, 90]])
    assert most_variable([part], GENES, ["A", "B", "C"], 3) == ["C", "B", "A"]
    assert most_variable([part], GENES, ["A", "B"], 1) == ["B"]


def test_random_sets_are_expressed_as_much():
    expression = {f"G{i}": i / 100 for i in range(400)}
    sets = expression_matched(expression, ["G50", "G350"], 200, seed=1, without=["G51"])
    assert len(sets) == 200
    assert all(len(set(one)) == 2 for one in sets)
    drawn = np.array([[expression[g] for g in one] for one in sets])
    assert np.abs(drawn - [0.5, 3.5]).max() <= 0.27  # fifty neighbours, and a few that are taken
    used = {g for one in sets for g in one}
    assert not used & {"G50", "G350", "G51"}
    assert len(used) > 60
    assert sets == expression_matched(expression, ["G50", "G350"], 200, seed=1, without=["G51"])


def test_too_few_genes_for_random_sets():
    with pytest.raises(PastError, match="Only 2 genes"):
        expression_matched({"A": 1.0, "B": 2.0, "C": 0.5, "D": 1.0}, ["A", "B"], 3, seed=0)

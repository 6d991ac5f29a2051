"""Retrieval against hand numbers and a brute-force search in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import Cancelled, PastError, UnknownGene
from napari_past.model.bank import Bank, BankCells, MadeBy, read_bank, write_bank
from napari_past.model.labels import Labels
from napari_past.model.retrieval import (
    Neighbours,
    effective_neighbours,
    expression,
    nearest,
    type_votes,
    weights,
)


@pytest.fixture(scope="module")
def make_bank(tmp_path_factory) -> Callable[..., Bank]:
    """``make_bank(vectors, values=…, types=…)``."""

    def made(vectors: np.ndarray, values: np.ndarray | None = None, types=None) -> Bank:
        n = len(vectors)
        path = Path(tmp_path_factory.mktemp("bank")) / "bank.h5ad"
        values = np.zeros((n, 1), np.float32) if values is None else values
        untold = Labels.of([""] * n)
        cells = BankCells([str(i) for i in range(n)], Labels.of(types or [""] * n), untold, untold)
        genes = [f"G{i}" for i in range(values.shape[1])]
        write_bank(path, vectors, [csr_array(values)], genes, cells, MadeBy("m", "0" * 64))
        return read_bank(path)

    return made


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def brute(bank: Bank, queries: np.ndarray, k: int, leave_out=None) -> Neighbours:
    """Every similarity in float64, each query sorted by itself."""
    vectors = bank.vectors.astype(np.float64)
    result = [[], []]
    for query in queries.astype(np.float32).astype(np.float64):
        length = math.sqrt(math.fsum(query**2))
        similarity = np.array([math.fsum(query * v) / length for v in vectors]).astype(np.float32)
        similarity[[] if leave_out is None else leave_out] = -2
        order = sorted(range(len(vectors)), key=lambda i, s=similarity: (-s[i], i))[:k]
        result[0].append(order)
        result[1].append(similarity[order])
    return Neighbours(np.array(result[0], np.int32), np.array(result[1]))


def assert_same(found: Neighbours, expected: Neighbours) -> None:
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.similarity, expected.similarity)


@pytest.fixture(scope="module")
def square(make_bank) -> Bank:
    """Four directions in the plane; two cells share the first."""
    vectors = np.array([[1, 0], [0, 1], [1, 0], [-1, 0], [0.6, 0.8]], np.float32)
    values = np.array([[1, 0], [2, 0], [3, 4], [10, 0], [5, 8]], np.float32)
    return make_bank(vectors, values, ["T", "B", "T", "", "B"])


def test_by_hand(square):
    found = nearest(square, np.array([[2.0, 0], [0, -0.5]]), k=3)
    # Equal ones in the order of the bank.
    assert found.index.tolist() == [[0, 2, 4], [0, 2, 3]]
    np.testing.assert_allclose(found.similarity, [[1, 1, 0.6], [0, 0, 0]], atol=5e-4)
    np.testing.assert_allclose(found.distance[0], [0, 0, 0.4], atol=5e-4)
    assert found.index.dtype == np.int32
    assert found.similarity.dtype == np.float32


def test_leaving_out(square):
    mask = np.array([True, False, False, False, True])
    assert nearest(square, np.array([[1.0, 0]]), 2, mask).index.tolist() == [[2, 1]]


CASES = {
    "random": lambda rng: rng.standard_normal((700, 32)),
    "ties": lambda rng: rng.standard_normal((7, 32))[rng.integers(0, 7, 700)],
    "all alike": lambda rng: np.ones((700, 32)),
    "nearly alike": lambda rng: 1 + 1e-3 * rng.standard_normal((700, 32)),
    "best last": lambda rng: (
        np.linspace(-1, 1, 700)[:, None] + 0.3 * rng.standard_normal((700, 32))
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_same_as_brute_force_however_it_is_cut(make_bank, case):
    rng = np.random.default_rng(0)
    bank = make_bank(unit(CASES[case](rng)))
    queries = np.concatenate(
        [rng.standard_normal((9, 32)), np.ones((2, 32)), 1e3 * bank.vectors[:2]]
    )
    leave_out = np.flatnonzero(rng.random(700) < 0.2)
    mask = np.isin(np.arange(700), leave_out)
    expected = brute(bank, queries, 20, leave_out)
    for memory_mb in (64.0, 0.3, 0.02, 1e-6):  # down to one pair at a time
        assert_same(nearest(bank, queries, 20, mask, memory_mb=memory_mb), expected)


def test_every_reference_can_be_asked_for(square):
    found = nearest(square, np.array([[1.0, 0]]), k=5)
    assert found.index.tolist() == [[0, 2, 4, 1, 3]]
    assert found.similarity[0, -1] == -1


def test_half_precision_queries(make_bank):
    rng = np.random.default_rng(1)
    bank = make_bank(unit(rng.standard_normal((200, 16))))
    queries = rng.standard_normal((5, 16)).astype(np.float16)
    assert_same(nearest(bank, queries, 7), brute(bank, queries.astype(np.float64), 7))


def test_no_queries(square):
    assert nearest(square, np.zeros((0, 2)), 3).index.shape == (0, 3)


def test_progress_and_stopping(square):
    shares: list[float] = []
    nearest(square, np.ones((4, 2)), 2, memory_mb=1e-6, on_share=shares.append)
    np.testing.assert_allclose(shares, np.arange(1, 21) / 20)

    def stop(share: float) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        nearest(square, np.ones((4, 2)), 2, on_share=stop)


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (np.ones((2, 3)), 1, r"holds vectors of 2 numbers, but got \(2, 3\); .* model m"),
        (np.ones(2), 1, r"but got \(2,\)"),
        (np.zeros((1, 2)), 1, "zero or not finite"),
        (np.full((1, 2), np.nan), 1, "zero or not finite"),
        (np.ones((1, 2)), 5, r"bank has 4 cells .*\(1 of the same .*choose from 1 to 4"),
        (np.ones((1, 2)), 0, "0 neighbours"),
    ],
)
def test_refused(square, queries, k, message):
    mask = np.array([True, False, False, False, False])
    with pytest.raises(PastError, match=message):
        nearest(square, queries, k, mask)


def neighbours(index: list[list[int]], similarity: list[list[float]]) -> Neighbours:
    return Neighbours(np.array(index, np.int32), np.array(similarity, np.float32))


def test_weights_by_hand():
    found = neighbours([[0, 1], [0, 1]], [[0.8, 0.8], [0.9, 0.8]])
    weight = weights(found, 0.1 / math.log(3))
    np.testing.assert_allclose(weight, [[0.5, 0.5], [0.75, 0.25]], rtol=1e-5)
    np.testing.assert_allclose(effective_neighbours(weight), [2, 1.6], rtol=1e-5)
    np.testing.assert_allclose(weights(found, 1e-6)[1], [1, 0])
    with pytest.raises(PastError, match="above 0, but got 0"):
        weights(found, 0)


def test_expression_by_hand(square):
    found = neighbours([[0, 2], [4, 1]], [[0.8, 0.8], [0.9, 0.8]])
    values = expression(square, found, ["G1", "G0"], 0.1 / math.log(3))
    # (0 + 4) / 2, (1 + 3) / 2; 0.75·8 + 0.25·0, 0.75·5 + 0.25·2
    np.testing.assert_allclose(values, [[2, 2], [6, 4.25]], rtol=1e-5)
    assert values.dtype == np.float32
    with pytest.raises(UnknownGene, match="KRT5"):
        expression(square, found, ["KRT5"])


def test_type_votes_by_hand(square):
    found = neighbours([[0, 4], [4, 3], [3, 3], [0, 1]], [[0.9, 0.8]] * 3 + [[0.8, 0.8]])
    votes = type_votes(square, found, 0.1 / math.log(3))
    assert votes.names == ("B", "T")
    assert votes.code.tolist() == [1, 0, -1, 0]
    np.testing.assert_allclose(votes.share, [0.75, 0.75, 0, 0.5], rtol=1e-5)


def test_no_types(make_bank):
    bank = make_bank(np.eye(3, dtype=np.float32))
    with pytest.raises(PastError, match="has no cell types; build it with --type-key"):
        type_votes(bank, nearest(bank, np.eye(3), 1))

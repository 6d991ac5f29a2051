"""Prototypes by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.model.bank import Bank, BankCells, MadeBy, read_bank, write_bank
from napari_past.model.labels import Labels
from napari_past.model.prototypes import nearest_types, prototypes


def bank_of(folder: Path, vectors: list[list[float]], types: list[str]) -> Bank:
    n = len(vectors)
    untold = Labels.of([""] * n)
    cells = BankCells([str(i) for i in range(n)], Labels.of(types), untold, untold)
    values = [csr_array(np.zeros((n, 1), np.float32))]
    made_by = MadeBy("m", "0" * 64)
    write_bank(folder / "bank.h5ad", np.array(vectors), values, ["G"], cells, made_by)
    return read_bank(folder / "bank.h5ad")


@pytest.fixture
def bank(tmp_path) -> Bank:
    vectors = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [1, 0, 0]]
    return bank_of(tmp_path, vectors, ["T", "T", "B", "", "M"])


def test_means_at_length_1(bank):
    found = prototypes(bank)
    half = math.sqrt(0.5)
    assert found.names == ("B", "M", "T")
    np.testing.assert_allclose(found.vectors, [[0, 0, 1], [1, 0, 0], [half, half, 0]], atol=1e-6)
    assert found.cells.tolist() == [1, 1, 2]


def test_left_out(bank):
    found = prototypes(bank, np.array([True, False, False, False, True]))
    assert found.names == ("B", "T")
    np.testing.assert_allclose(found.vectors, [[0, 0, 1], [0, 1, 0]])
    assert found.cells.tolist() == [1, 1]
    with pytest.raises(PastError, match="has 1 cell types to choose from, but at least two"):
        prototypes(bank, np.array([True, True, False, False, True]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nearest_and_margin(bank, dtype):
    types = prototypes(bank)
    found = nearest_types(types, np.array([[3, 4, 0], [0, 0, 2], [1, 0, -1]], dtype))
    assert [found.names[i] for i in found.code] == ["T", "B", "M"]
    # Cosines to B, M, T: 0, 0.6, 1.4·√½; 1, 0, 0; -√½, √½, ½
    half = math.sqrt(0.5)
    np.testing.assert_allclose(found.similarity, [1.4 * half, 1, half], atol=1e-5)
    np.testing.assert_allclose(found.margin, [1.4 * half - 0.6, 1, half - 0.5], atol=1e-5)


def test_other_vectors_are_refused(bank):
    with pytest.raises(PastError, match=r"vectors of 3 numbers, but got \(2, 4\)"):
        nearest_types(prototypes(bank), np.ones((2, 4)))

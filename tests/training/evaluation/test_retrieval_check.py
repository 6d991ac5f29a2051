"""The check of a bank against numbers that were worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.model.bank import Bank, BankCells, MadeBy, read_bank, write_bank
from napari_past.model.labels import Labels
from past_training.evaluation.retrieval_check import (
    MEAN,
    OURS,
    RANDOM,
    Looked,
    check_bank,
    check_retrieval,
    looked_in,
    pair_retrieval,
    variable_genes,
)
from past_training.evaluation.retrieval_page import retrieval_page


@pytest.fixture
def make_bank(tmp_path) -> Callable[..., Bank]:
    def made(vectors, values, patients, studies=None) -> Bank:
        n = len(vectors)
        cells = BankCells(
            [str(i) for i in range(n)], Labels.of([""] * n), Labels.of(patients),
            Labels.of(studies or [""] * n),
        )  # fmt: skip
        genes = [f"G{i}" for i in range(len(values[0]))]
        blocks = [csr_array(np.array(values, np.float32))]
        path = Path(tmp_path) / "bank.h5ad"
        write_bank(path, np.array(vectors), blocks, genes, cells, MadeBy("m", "0" * 64))
        return read_bank(path)

    return made


@pytest.fixture
def plane(make_bank) -> Bank:
    """Patients A, B, C with a cell in each of two directions, whose gene G0 tells which."""
    values = [[0, 1], [4, 1], [1, 1], [5, 1], [2, 1], [6, 1]]
    return make_bank([[1, 0], [0, 1]] * 3, values, list("AABBCC"))


def test_by_hand(plane):
    looked = looked_in(plane, ("G0", "G1"))
    check = check_retrieval(plane, looked, k=2, temperature=0.001, whole_study=False)
    # A finds (1 + 2) / 2 and (5 + 6) / 2, B 1 and 5, C 0.5 and 4.5.
    errors = np.array([1.5 - 0, 5.5 - 4, 1 - 1, 5 - 5, 0.5 - 2, 4.5 - 6])
    assert check.rmse[OURS][0] == pytest.approx(np.sqrt((errors**2).mean()))
    assert check.rmse[OURS][1] == 0
    predicted, measured = [1.5, 5.5, 1, 5, 0.5, 4.5], [0, 4, 1, 5, 2, 6]
    assert check.variance_ratio[0] == pytest.approx(np.var(predicted) / np.var(measured))
    assert np.isnan(check.variance_ratio[1])
    assert check.r[OURS][0] == pytest.approx(1)
    assert np.isnan(check.r[OURS][1])
    # Means of the others: 3.5, 3, 2.5; constant for each patient.
    away = np.array([3.5, -0.5, 2, -2, 0.5, -3.5])
    assert check.rmse[MEAN][0] == pytest.approx(np.sqrt((away**2).mean()))
    assert check.r[MEAN][0] == 0
    np.testing.assert_allclose(check.effective, 2)
    np.testing.assert_allclose(check.distance, 0, atol=1e-6)
    # Both neighbours are of the two other patients, one each.
    assert check.mixing[OURS] == pytest.approx(1)
    assert 0.5 <= check.mixing[RANDOM] <= 1
    assert (check.queries, check.patients, check.fewest_references) == (6, 3, 4)
    assert check.pair is None
    assert check.profile.gallery == 6


def test_neighbours_of_one_patient_do_not_mix(make_bank):
    vectors = [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]]
    bank = make_bank(vectors, [[0.0]] * 5, ["Q", "A", "A", "B", "B"])
    looked = Looked(
        np.array([[1.0, 0]]), np.zeros((1, 1), np.float32), ("G0",), Labels.of(["Q"]),
        Labels.of([""]),
    )  # fmt: skip
    check = check_retrieval(bank, looked, k=2, whole_study=False)
    assert check.mixing[OURS] == pytest.approx(1 / 2)


def test_studies_are_left_out(make_bank):
    values = [[0], [7], [1], [3]]
    vectors = [[1, 0], [1, 0], [1, 0], [1, 0]]
    bank = make_bank(vectors, values, list("ABCD"), ["one", "one", "two", "two"])
    looked = looked_in(bank, ["G0"])
    whole = check_retrieval(bank, looked, k=1)
    alone = check_retrieval(bank, looked, k=1, whole_study=False)
    # A and B find C, which comes first of equals, C and D find A; else A finds B and all others A.
    assert whole.rmse["neighbours"][0] == pytest.approx(np.sqrt((1 + 36 + 1 + 9) / 4))
    assert alone.rmse["neighbours"][0] == pytest.approx(np.sqrt((49 + 49 + 1 + 9) / 4))
    assert whole.fewest_references == 2
    assert alone.fewest_references == 3
    assert check_bank(bank, k=1).whole_study
    assert check_bank(bank).k == 2


def test_pairs():
    own = np.eye(20, dtype=np.float32)
    found = pair_retrieval(own, own)
    assert found.gallery == 20
    assert found.recall == {1: 1.0, 10: 1.0}
    shifted = np.roll(own, 1, axis=0)
    assert pair_retrieval(shifted, own).recall[1] == 0
    assert pair_retrieval(np.ones((20, 20)), own).recall == pytest.approx({1: 0.05, 10: 0.5})


def test_pictures_are_looked_up(plane):
    own = plane.vectors[:2]
    looked = Looked(
        own, np.zeros((2, 1), np.float32), ("G0",), Labels.of(["A", "A"]), Labels.of(["", ""]), own
    )
    check = check_retrieval(plane, looked, k=1, whole_study=False)
    assert check.pair is not None
    assert check.pair.recall == {1: 1.0}


def test_variable_genes(make_bank):
    rng = np.random.default_rng(0)
    values = rng.random((9, 130)) * rng.permutation(130)
    bank = make_bank(np.eye(9), values, ["A"] * 9)
    order = np.argsort(-bank.values(bank.genes).toarray().var(axis=0))
    assert variable_genes(bank, 20) == tuple(f"G{i}" for i in order[:20])


def test_a_single_patient_is_told(make_bank):
    bank = make_bank(np.eye(2), [[0], [1]], ["A", "A"])
    with pytest.raises(PastError, match=r"at least two patients apart.*--patient-key"):
        check_bank(bank)


def test_page(plane):
    text = retrieval_page(plane, check_bank(plane, k=2))
    assert "6 cells of 3 patients were looked up without their own patient, which left" in text
    assert "| bank mean | 0.000 |" in text
    assert "| effective neighbours (1 / Σ weight²) | 2.0 (2.0 – 2.0) |" in text
    assert "| recall@1 |" in text
    assert "For research use only." in text

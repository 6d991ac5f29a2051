"""Banks on disk, against dense numpy and the words of their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.errors import BadTable, CannotWrite, PastError, UnknownGene
from napari_past.model.bank import Bank, BankCells, MadeBy, read_bank, write_bank
from napari_past.model.labels import Labels

VALUES = np.array(
    [[0, 1.5, 0], [2, 0, 0], [0, 0.25, 4], [0, 0, 0], [1, 1, 1]], np.float32
)  # fmt: skip
GENES = ("ERBB2", "CD3D", "VIM")
TYPES = ("T cell", "tumour", "", "tumour", "T cell")
PATIENTS = ("A", "A", "B", "C", "D")
STUDIES = ("one", "one", "one", "two", "three")
MADE_BY = MadeBy("past", "ab" * 32)
WriteBank = Callable[..., Path]


@pytest.fixture
def write(tmp_path) -> WriteBank:
    """``write(vectors=…, genes=…, …)``: a bank of five cells, with changes."""

    def written(**changes: object) -> Path:
        vectors = np.eye(5, 4, dtype=np.float32)
        vectors[4, 0] = 1
        labels = {"types": TYPES, "patients": PATIENTS, "studies": STUDIES}
        labels = {key: Labels.of(changes.pop(key, texts)) for key, texts in labels.items()}
        given = {
            "path": tmp_path / "bank.h5ad",
            "vectors": vectors,
            "values": [csr_array(VALUES[:2]), csr_array(VALUES[2:])],
            "genes": GENES,
            "cells": BankCells([f"cell {i}" for i in range(5)], **labels),
            "made_by": MADE_BY,
        }
        write_bank(**(given | changes))  # type: ignore[arg-type]
        return tmp_path / "bank.h5ad"

    return written


@pytest.fixture
def bank(write) -> Bank:
    return read_bank(write())


def test_round_trip(bank):
    assert len(bank) == 5
    assert bank.name == "bank"
    assert bank.vectors.dtype == np.float16
    np.testing.assert_array_equal(bank.vectors[:4], np.eye(4))
    assert bank.genes == GENES
    assert bank.made_by == MADE_BY
    assert [bank.types[i] for i in range(5)] == list(TYPES)
    assert bank.types.names == ("T cell", "tumour")
    assert bank.types.untold == 1
    assert [bank.patients[i] for i in range(5)] == list(PATIENTS)
    assert [bank.studies[i] for i in range(5)] == list(STUDIES)
    assert bank.ids(np.array([3, 0, 3])) == ("cell 3", "cell 0", "cell 3")


def test_genes_are_read_in_the_order_asked_for(bank):
    found = bank.values(["VIM", "ERBB2"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), VALUES[:, [2, 0]])
    assert bank.values([]).shape == (5, 0)


def test_a_stranger_reads_the_file(write):
    table = anndata.read_h5ad(write())
    np.testing.assert_array_equal(table.X.toarray(), VALUES)
    assert table.X.format == "csc"
    assert list(table.obs["patient"]) == list(PATIENTS)
    assert table.obs["cell_type"].isna().tolist() == [False, False, True, False, False]
    assert table.obsm["X_past"].dtype == np.float16
    assert table.uns["napari_past_bank"]["unit"] == "log1p(counts per 10k)"


def test_same_cells_same_bytes(write):
    first = write().read_bytes()
    assert write(values=[csr_array(VALUES)]).read_bytes() == first


def test_more_genes_than_are_written_at_once(write):
    rng = np.random.default_rng(0)
    values = (rng.random((5, 150)) * (rng.random((5, 150)) < 0.3)).astype(np.float32)
    genes = [f"G{i}" for i in range(150)]
    bank = read_bank(write(values=[csr_array(values[:1]), csr_array(values[1:])], genes=genes))
    np.testing.assert_array_equal(bank.values(genes).toarray(), values)


def test_unknown_gene(bank):
    with pytest.raises(UnknownGene, match="bank did not measure KRT5; choose among its 3 genes"):
        bank.values(["VIM", "KRT5"])


def test_only_the_model_that_made_it(bank):
    bank.require_model("student", "ab" * 32)
    with pytest.raises(PastError, match=r"made by the model past \(abababababab\), but .* tiny"):
        bank.require_model("tiny", "cd" * 32)


@pytest.mark.parametrize(
    ("asked", "left_out"),
    [
        ({}, []),
        ({"patient": "A"}, [0, 1, 2]),
        ({"patient": "A", "whole_study": False}, [0, 1]),
        ({"patient": "Z"}, []),
        ({"patient": "Z", "study": "two"}, [3]),
        ({"study": "two"}, [3]),
        ({"patient": "D", "study": "two"}, [3, 4]),
        ({"study": "two", "whole_study": False}, []),
    ],
    ids=str,
)
def test_left_out(bank, asked, left_out):
    assert np.flatnonzero(bank.left_out(**asked)).tolist() == left_out


@pytest.mark.parametrize("key", ["patients", "studies"])
def test_what_may_be_the_querys_own_is_refused(write, key):
    bank = read_bank(write(**{key: ("A", "", "B", "", "C")}))
    what = {"patients": "patient", "studies": "study"}[key]
    with pytest.raises(PastError, match=f"tell the {what} of 2 of its 5 cells.*--{what}-key"):
        bank.left_out("A")
    assert not bank.left_out().any()


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([2, 0, 0, 0], "that of cell 1 has 2;"),
        ([0, 0, 0, 0], "that of cell 1 has 0;"),
        ([np.nan, 0, 0, 0], "that of cell 1 has nan;"),
    ],
    ids=["long", "zero", "nan"],
)
def test_vectors_of_another_length_are_refused(write, vector, message):
    vectors = np.eye(5, 4, dtype=np.float32)
    vectors[4, 0] = 1
    vectors[1] = vector
    with pytest.raises(BadTable, match=message):
        write(vectors=vectors)


def test_nothing_is_left_of_what_fails(write, tmp_path):
    def stopped():
        yield csr_array(VALUES[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(values=stopped())
    with pytest.raises(PastError, match="comes twice"):
        write(genes=("VIM", "VIM", "CD3D"))
    with pytest.raises(ValueError, match=r"are \(5, 3\), but the values are \(2, 3\)"):
        write(values=[csr_array(VALUES[:2])])
    with pytest.raises(CannotWrite, match="does not exist"):
        write(path=tmp_path / "missing" / "bank.h5ad")
    assert list(tmp_path.iterdir()) == []


def damage(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def without(key: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(key)


def with_value(key: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[key]
        file[key] = value
        kind = "string" if isinstance(value, str) else "array"
        file[key].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})

    return change


def promised(file: h5py.File) -> None:
    """Vectors of 51 GB, of which nothing is in the file."""
    del file["obsm/X_past"]
    file.create_dataset("obsm/X_past", (10**8, 256), "f2", chunks=(10**4, 256))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("uns/napari_past_bank"), "is no reference bank"),
        (promised, r"obsm/X_past of the bank .* promises 51\.2 GB"),
        (without("obsm/X_past"), "cannot be read .*X_past"),
        (without("obs/patient"), "cannot be read .*patient"),
        (with_value("uns/napari_past_bank/schema_version", 2), "schema version 2, but"),
        (with_value("uns/napari_past_bank/unit", "counts"), "are counts, but log1p"),
        (with_value("obsm/X_past", np.eye(4)), "not of the same cells"),
        (with_value("X/indptr", np.zeros(3, np.int64)), "not of the same cells"),
        (lambda file: file["X"].attrs.update({"encoding-type": "csr_matrix"}), "no CSC matrix"),
    ],
    ids=["other", "promised", "vectors", "labels", "later", "unit", "cells", "genes", "rows"],
)
def test_damaged_banks(write, change, message):
    with pytest.raises(BadTable, match=message):
        read_bank(damage(write(), change))


def test_no_bank(tmp_path):
    with pytest.raises(BadTable, match="There is no file"):
        read_bank(tmp_path / "none.h5ad")
    (tmp_path / "text.h5ad").write_text("no HDF5")
    with pytest.raises(BadTable, match=r"text\.h5ad cannot be read as a reference bank"):
        read_bank(tmp_path / "text.h5ad")


def test_a_bank_that_went_away(bank):
    moved = replace(bank, path=bank.path.with_name("moved.h5ad"))
    with pytest.raises(BadTable, match=r"There is no file .*moved\.h5ad"):
        moved.values(["VIM"])


def test_labels():
    labels = Labels.of(["b", "", "a", "b", " "])
    assert labels.names == ("a", "b")
    assert labels.codes.tolist() == [1, -1, 0, 1, -1]
    assert labels.are("b").tolist() == [True, False, False, True, False]
    assert not labels.are("c").any()
    with pytest.raises(ValueError, match="same cells"):
        BankCells(["x"], labels, labels, labels)

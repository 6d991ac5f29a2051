"""Reading a task: what is honoured, and what is told where a file is wrong."""

from __future__ import annotations

import json
import shutil

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest

from napari_past.errors import BadTable
from past_training.benchmark.task import read_task, tasks_in

GENES = ("EPCAM", "ACTB", "VIM")
SIDE_PX = 64


def test_folds_and_genes_are_those_of_the_files(task):
    assert task.genes == GENES
    assert [(f.number, f.train, f.test) for f in task.folds] == [
        (0, ("B", "C"), ("A",)),
        (1, ("A",), ("B", "C")),
    ]
    assert {name: s.fingerprint for name, s in task.samples.items()} == {
        "A": "ab" * 32, "B": None, "C": None,
    }  # fmt: skip


def test_expression_is_log1p_of_the_counts_in_the_order_of_the_patches(task):
    table = anndata.read_h5ad(task.folder / "adata" / "B.h5ad").to_df()
    expected = np.log1p(table.loc[[f"B-{i}" for i in range(6)], list(GENES)])
    np.testing.assert_allclose(task.samples["B"].measured, expected, rtol=1e-6)


def test_patches_are_read_as_they_are(task):
    with h5py.File(task.folder / "patches" / "C.h5") as file:
        images = file["img"][:]
    (batch,) = task.samples["C"].batches()
    np.testing.assert_array_equal(batch, images)
    np.testing.assert_array_equal(task.samples["C"].some(np.array([1, 4])), images[[1, 4]])


def test_checksum_depends_on_every_file(drawn, recipe, tmp_path, task):
    shutil.copytree(drawn, tmp_path / "b")
    assert read_task(tmp_path / "b", "DRAWN", recipe.data).sha256 == task.sha256
    genes = tmp_path / "b" / "DRAWN" / "var_50genes.json"
    genes.write_text(json.dumps({"genes": ["ACTB"]}))
    changed = read_task(tmp_path / "b", "DRAWN", recipe.data)
    assert changed.genes == ("ACTB",)
    assert changed.sha256 != task.sha256


def test_tasks_are_the_folders_with_splits(drawn, tmp_path):
    assert tasks_in(drawn) == ("DRAWN",)
    assert tasks_in(tmp_path / "nowhere") == ()


def no_expression(place):
    (place / "adata" / "A.h5ad").unlink()


def no_patches(place):
    (place / "patches" / "A.h5").unlink()


def damaged(place):
    (place / "patches" / "A.h5").write_bytes(b"no HDF5")


def damaged_table(place):
    (place / "adata" / "B.h5ad").write_bytes(b"no HDF5")


def wrong_side(place):
    with h5py.File(place / "patches" / "A.h5", "a") as file:
        del file["img"]
        file["img"] = np.zeros((6, SIDE_PX, SIDE_PX // 2, 3), np.uint8)


def fewer_barcodes(place):
    with h5py.File(place / "patches" / "A.h5", "a") as file:
        names = file["barcode"][:5]
        del file["barcode"]
        file["barcode"] = names


def no_images(place):
    with h5py.File(place / "patches" / "A.h5", "a") as file:
        del file["img"]


def other_genes(place):
    (place / "var_50genes.json").write_text(json.dumps({"genes": ["EPCAM", "NOBODY", "ELSE"]}))


def gene_twice(place):
    (place / "var_50genes.json").write_text(json.dumps({"genes": ["EPCAM", "EPCAM"]}))


def no_genes_key(place):
    (place / "var_50genes.json").write_text("{}")


def no_genes(place):
    (place / "var_50genes.json").unlink()


def other_barcodes(place):
    table = anndata.read_h5ad(place / "adata" / "A.h5ad")
    table[:4].write_h5ad(place / "adata" / "A.h5ad")


def negative(place):
    table = anndata.read_h5ad(place / "adata" / "A.h5ad")
    table.X = table.X.toarray() - 100
    table.write_h5ad(place / "adata" / "A.h5ad")


def half_a_fold(place):
    (place / "splits" / "train_1.csv").unlink()


def a_gap(place):
    for side in ("train", "test"):
        (place / "splits" / f"{side}_1.csv").rename(place / "splits" / f"{side}_2.csv")


def no_column(place):
    path = place / "splits" / "test_0.csv"
    pd.read_csv(path).drop(columns="expr_path").to_csv(path, index=False)


def empty_fold(place):
    path = place / "splits" / "test_0.csv"
    pd.read_csv(path).iloc[:0].to_csv(path, index=False)


def both_sides(place):
    shutil.copy(place / "splits" / "train_0.csv", place / "splits" / "test_0.csv")


def outside(place):
    path = place / "splits" / "test_0.csv"
    pd.read_csv(path).assign(expr_path="../elsewhere.h5ad").to_csv(path, index=False)


def no_folds(place):
    for path in (place / "splits").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_expression, r"There is no file .*A\.h5ad"),
        (no_patches, r"There is no file .*A\.h5; "),
        (damaged, r"A\.h5 cannot be read"),
        (damaged_table, r"B\.h5ad cannot be read"),
        (wrong_side, r"uint8 \(6, 64, 32, 3\) and 6 barcodes, but uint8 \(n, 64, 64, 3\)"),
        (fewer_barcodes, r"\(6, 64, 64, 3\) and 5 barcodes"),
        (no_images, r"has no 'img' \(found: barcode, coords\)"),
        (other_genes, r"lacks 2 of the 3 genes .*first: NOBODY"),
        (gene_twice, "names 2 genes, 1 of them different"),
        (no_genes_key, r"var_50genes\.json cannot be read"),
        (no_genes, r"There is no file .*var_50genes\.json"),
        (other_barcodes, "lacks 2 of the 6 barcodes"),
        (negative, "negative or no number"),
        (half_a_fold, r"There is no file .*train_1\.csv"),
        (a_gap, r"There is no file .*train_1\.csv"),
        (no_column, r"test_0\.csv has no column expr_path"),
        (empty_fold, r"test_0\.csv lists no sample"),
        (both_sides, "Fold 0 of DRAWN trains on B and holds it out"),
        (outside, "lies outside of"),
        (no_folds, r"no file test_0\.csv"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(spoil, told, drawn, recipe, tmp_path):
    shutil.copytree(drawn / "DRAWN", tmp_path / "DRAWN")
    spoil(tmp_path / "DRAWN")
    with pytest.raises(BadTable, match=told) as caught:
        read_task(tmp_path, "DRAWN", recipe.data)
    assert "\n" not in str(caught.value)


def test_unknown_task_names_those_that_are_there(drawn, recipe):
    with pytest.raises(BadTable, match=r"no task IDC in .* \(found: DRAWN\)"):
        read_task(drawn, "IDC", recipe.data)

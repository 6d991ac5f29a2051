import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from napari_past.errors import AmbiguousGene, BadTable, NotScorable, UnknownGene
from napari_past.io import read_marker_table, write_cells
from napari_past.types import Cutoffs

CENTERS = np.array([[1.0, 2], [3, 4], [5, 6]])


def bare(path, x, names, **more):
    """An AnnData file of somebody else's: nothing in uns, nothing in obs."""
    obsm = more.pop("obsm", {"spatial": CENTERS})
    anndata.AnnData(X=x, var=pd.DataFrame(index=names), obsm=obsm, **more).write_h5ad(path)
    return path


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix])
def test_a_bare_h5ad(tmp_path, make):
    x = np.array([[0.7, 1], [np.nan, 2], [0.1, 3]], np.float32)
    table = read_marker_table(bare(tmp_path / "c.h5ad", make(x), ["ERBB2", "KRT19"]), "HER2")
    np.testing.assert_array_equal(table.values, x[:, 0])
    assert table.values.dtype == np.float32
    np.testing.assert_array_equal(table.centers_um, CENTERS)
    assert (table.cutoffs, table.mpp) == (None, None)
    assert table.resolved.label == "ERBB2 (HER2)"


@pytest.mark.parametrize("suffix", [".h5ad", ".csv"])
def test_a_table_of_ours_brings_cutoffs_and_pixel_size(cells, tmp_path, suffix):
    path = tmp_path / f"cells{suffix}"
    write_cells(cells, path)
    table = read_marker_table(path, "erbb2")
    assert table.cutoffs == Cutoffs(1.0, 2.0, 3.0, "model card of past-mini")
    assert table.mpp == 0.499
    np.testing.assert_array_equal(table.values.astype(np.float32), cells.X[:, 0])
    assert read_marker_table(path, "KRT19").cutoffs is None


def test_genes_of_a_marker_are_averaged(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.h5ad")
    table = read_marker_table(tmp_path / "cells.h5ad", "CD3")
    np.testing.assert_allclose(table.values, cells.X[:, 1:3].mean(axis=1), rtol=1e-6)
    assert table.resolved.label == "CD3D + CD3E (CD3)"
    assert "CD3G" in table.resolved.note


def test_a_bare_csv(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("x_um,y_um,ERBB2,note\n1,2,0.7,a\n3,4,,b\n")
    table = read_marker_table(path, "HER2")
    np.testing.assert_array_equal(table.values, [0.7, np.nan])
    np.testing.assert_array_equal(table.centers_um, [[1, 2], [3, 4]])


def test_a_column_that_is_named_as_the_marker(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("x_um,y_um,Ki67\n1,2,0.7\n")
    assert read_marker_table(path, "Ki67").values.tolist() == [0.7]


def test_ensembl_ids_as_names(tmp_path):
    path = bare(tmp_path / "c.h5ad", np.ones((3, 1), np.float32), ["ENSG00000141736.14"])
    assert read_marker_table(path, "HER2").values.tolist() == [1, 1, 1]


@pytest.mark.parametrize("gene", ["FOXP3", "nonsense"])
@pytest.mark.parametrize("suffix", [".h5ad", ".csv"])
def test_a_missing_gene_is_refused(cells, tmp_path, suffix, gene):
    path = tmp_path / f"cells{suffix}"
    write_cells(cells, path)
    with pytest.raises(UnknownGene):
        read_marker_table(path, gene)


@pytest.mark.parametrize("suffix", [".h5ad", ".csv"])
def test_a_missing_gene_is_told_with_those_there_are(cells, tmp_path, suffix):
    path = tmp_path / f"cells{suffix}"
    write_cells(cells, path)
    with pytest.raises(UnknownGene) as told:
        read_marker_table(path, "PD-L1")
    assert str(told.value) == (
        "The table does not have CD274 (PD-L1); choose another of the 4 genes that it has (ERBB2, "
        "CD3D, CD3E, KRT19), or predict it with `napari-past run --genes PD-L1`."
    )
    with pytest.raises(UnknownGene, match="No gene or marker is named 'nonsense'"):
        read_marker_table(path, "nonsense")


def test_ten_genes_are_named(tmp_path):
    names = [f"G{i}" for i in range(12)]
    path = bare(tmp_path / "c.h5ad", np.ones((3, 12), np.float32), names)
    with pytest.raises(UnknownGene, match=r"12 genes that it has \(G0, .*G9 and 2 more\)"):
        read_marker_table(path, "PD-L1")


def test_what_is_never_scored_is_told_before_that_it_is_missing(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.h5ad")
    for name in ("p53", "TP53"):
        with pytest.raises(NotScorable, match="p53 cannot be scored from gene RNA"):
            read_marker_table(tmp_path / "cells.h5ad", name)


def test_two_meanings_are_refused(tmp_path):
    path = bare(tmp_path / "c.h5ad", np.ones((3, 2), np.float32), ["TTF1", "NKX2-1"])
    with pytest.raises(AmbiguousGene, match="TTF-1"):
        read_marker_table(path, "TTF1")


def test_h5ad_files_that_cannot_be_scored(tmp_path):
    x = np.ones((3, 1), np.float32)
    with pytest.raises(BadTable, match="no positions of cells"):
        read_marker_table(bare(tmp_path / "a.h5ad", x, ["ERBB2"], obsm={}), "ERBB2")
    holes = {"spatial": np.array([[1.0, 2], [np.nan, 4], [5, 6]])}
    with pytest.raises(BadTable, match=r"Cell 1 of b\.h5ad has no position"):
        read_marker_table(bare(tmp_path / "b.h5ad", x, ["ERBB2"], obsm=holes), "ERBB2")
    twice = bare(tmp_path / "c.h5ad", np.ones((3, 2), np.float32), ["ERBB2", "ERBB2"])
    with pytest.raises(BadTable, match="2 columns named ERBB2"):
        read_marker_table(twice, "ERBB2")
    with pytest.raises(BadTable, match="no values of genes in X"):
        read_marker_table(bare(tmp_path / "d.h5ad", None, [], shape=(3, 0)), "ERBB2")
    falling = {"napari_past": {"cutoffs": {"ERBB2": [3.0, 2.0, 1.0]}}}
    with pytest.raises(BadTable, match="not three ascending numbers"):
        read_marker_table(bare(tmp_path / "e.h5ad", x, ["ERBB2"], uns=falling), "ERBB2")
    (tmp_path / "f.h5ad").write_text("rubbish")
    with pytest.raises(BadTable, match="cannot be read as an AnnData file"):
        read_marker_table(tmp_path / "f.h5ad", "ERBB2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_um,ERBB2\n1,2\n", "no column y_um"),
        ("x_um,y_um,ERBB2\n1,2,high\n", "text in ERBB2"),
        ("x_um,y_um,ERBB2\n,2,1\n", "has no position"),
        ("", "cannot be read as a CSV table"),
    ],
    ids=["column", "text", "hole", "empty"],
)
def test_csv_files_that_cannot_be_scored(tmp_path, text, message):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(BadTable, match=message):
        read_marker_table(path, "ERBB2")


def test_other_files_are_no_tables_to_score(tmp_path):
    (tmp_path / "c.txt").write_text("")
    with pytest.raises(BadTable, match=r"\.h5ad, \.csv, \.parquet, \.geojson or \.zarr"):
        read_marker_table(tmp_path / "c.txt", "ERBB2")
    with pytest.raises(BadTable, match="no file"):
        read_marker_table(tmp_path / "none.h5ad", "ERBB2")


def test_a_real_table(data_dir):
    path = data_dir / "xenium_lung" / "NCBI858.h5ad"
    with pytest.raises(BadTable, match="no positions"):
        read_marker_table(path, "EPCAM")

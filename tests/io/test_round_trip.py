"""What every format must keep, and what each leaves out."""

import dask.array
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from anndata import AnnData
from pandas.testing import assert_frame_equal

from napari_past.cli.run_options import FORMATS
from napari_past.errors import BadTable, CannotWrite
from napari_past.io import found_cells, read_cells, writable_suffixes, write_cells
from napari_past.io.origin import read_origin
from napari_past.types import RESEARCH_USE

SUFFIXES = [".h5ad", ".csv", ".geojson", ".parquet", ".zarr"]


def content(path):
    """The bytes of a file, or of every file of a folder with its name."""
    if path.is_file():
        return path.read_bytes()
    files = sorted(f for f in path.rglob("*") if f.is_file())
    return b"".join(f.relative_to(path).as_posix().encode() + f.read_bytes() for f in files)


def comparable(value):
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items()}
    return np.asarray(value).tolist() if isinstance(value, (list, np.ndarray)) else value


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("n", [12, 2, 0], ids=["twelve", "two", "none"])
def test_a_table_comes_back(make_cells, tmp_path, suffix, n):
    cells = make_cells(n)
    path = tmp_path / f"cells{suffix}"
    write_cells(cells, path)
    back = read_cells(path)
    assert back.obs_names.tolist() == cells.obs_names.tolist()
    assert back.var_names.tolist() == cells.var_names.tolist()
    np.testing.assert_array_equal(back.X, cells.X)
    np.testing.assert_array_equal(back.obsm["spatial"], cells.obsm["spatial"])
    assert back.obsm["spatial"].dtype == np.float64
    assert_frame_equal(back.obs, cells.obs, check_names=False, check_index_type=False)
    assert_frame_equal(
        back.var.astype({"evidence": str}),
        cells.var.astype({"evidence": str}),
        check_names=False,
        check_index_type=False,
    )
    assert comparable(back.uns["napari_past"]) == comparable(cells.uns["napari_past"])


def odd_table():
    """Four cells with whatever a lab's own names, notes and gaps may be."""
    ids = ["17", "nan", "A;b, c", "8e9b1d4e-2f27-4c0e-9a3c-0d1b5b8f7a11"]
    obs = {
        "note": ["a;b\nsecond line", "", None, 'Grüße 中 "quoted", \r done'],
        "without": [None, None, None, None],
        "words": ["nan", "NA", "None", "true"],
        "empty": ["", "", "", "x"],
        "kind": pd.Categorical(["", "b", None, "b"], categories=["b", "", "never"], ordered=True),
        "flag": [True, False, True, True],
        "count": np.array([1, 2**40, -3, 0]),
        "value": [np.nan, 1e-300, 0.1, -0.0],
        "ERBB2": [1.0, 2.0, np.nan, 4.0],
        "x_um": np.array([5, 6, 7, 8], np.int16),
        "id": ["p", "q", "r", "s"],
        "classification": ["Tumor: Positive", None, "Stroma", ""],
        "a/b": [1.0, 2.0, 3.0, 4.0],
        "a per b": [5.0, 6.0, 7.0, 8.0],
        ".": [0.0, 1.0, 2.0, 3.0],
        "": ["p", "q", "r", "s"],
        "_index": [3.0, 2.0, 1.0, 0.0],
        "grade": pd.Categorical([2, None, 1, 2], categories=[1, 2]),
    }
    nuclei, whole = np.full((4, 5, 2), np.nan, np.float32), np.full((4, 4, 2), np.nan, np.float32)
    nuclei[0, :3] = [[1, 1], [3, 1], [2, 4]]
    nuclei[2] = [[9, 9], [12, 9], [13, 11], [10, 12], [8, 10]]
    whole[0], whole[1] = [[0, 0], [5, 0], [5, 6], [0, 6]], [[20, 20], [25, 20], [25, 24], [20, 24]]
    told = {
        "slide": {"name": "slide.svs", "mpp": 0.5},
        "cells": {"source": "cells.geojson", "kind": "QuPath GeoJSON", "notes": ["3 left out"]},
        "cutoffs": {"A/B": [1.0, 2.0, 3.0]},
        "unreadable": {"tiles": 1, "rects_um": np.array([[0.0, 0.1, 128.0, 128.0]])},
    }
    return AnnData(
        X=np.array([[1, np.nan, 3], [4, 5, 6], [0.1, 1e-30, 0], [7, 8, 9]], np.float32),
        obs=pd.DataFrame(obs, index=ids),
        var=pd.DataFrame({"about": ["a", None, ""]}, index=["nan", "ERBB2", "id"]),
        obsm={
            "spatial": np.array([[2.1, 2.2], [22.3, 22.4], [10.5, 10.6], [30.7, 30.8]]),
            "outline_um": nuclei,
            "cell_outline_um": whole,
            "X_past": np.arange(12, dtype=np.float16).reshape(4, 3) / 3,
        },
        uns={"napari_past": told},
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [1], []], ids=["all", "one", "none"])
def test_odd_names_texts_and_gaps_come_back(tmp_path, suffix, rows):
    cells = odd_table()[rows].copy()
    # Categories that no cell has are dropped with the cells.
    cells.obs["kind"] = cells.obs["kind"].cat.set_categories(["b", "", "never"], ordered=True)
    cells.obs["grade"] = cells.obs["grade"].cat.set_categories([1, 2])
    write_cells(cells, tmp_path / f"a{suffix}")
    if len(rows) == 4:
        write_cells(cells, tmp_path / f"b{suffix}")
        assert content(tmp_path / f"a{suffix}") == content(tmp_path / f"b{suffix}")
    back = read_cells(tmp_path / f"a{suffix}")
    assert back.obs_names.tolist() == cells.obs_names.tolist()
    assert back.var_names.tolist() == ["nan", "ERBB2", "id"]
    np.testing.assert_array_equal(back.X, cells.X)
    np.testing.assert_array_equal(back.obsm["spatial"], cells.obsm["spatial"])
    assert back.obs.columns.tolist() == cells.obs.columns.tolist()
    for name in cells.obs:
        given, found = cells.obs[name], back.obs[name]
        assert str(found.dtype) == str(given.dtype), name
        assert values_of(found) == values_of(given), name
    assert back.obs["kind"].cat.categories.tolist() == ["b", "", "never"]
    assert back.obs["kind"].cat.ordered
    assert values_of(back.var["about"]) == ["a", None, ""]
    told = {"schema_version": 1, "research_use": RESEARCH_USE, **cells.uns["napari_past"]}
    assert comparable(back.uns["napari_past"]) == comparable(told)
    for key in ("outline_um", "cell_outline_um"):
        assert rings(back.obsm.get(key), len(rows)) == rings(cells.obsm[key], len(rows))
    if suffix in (".h5ad", ".parquet", ".zarr"):
        np.testing.assert_array_equal(back.obsm["X_past"], cells.obsm["X_past"])
        assert back.obsm["X_past"].dtype == np.float16


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_format_cannot_hold_is_replaced_in_all(tmp_path, suffix):
    obs = pd.DataFrame(
        [["a\0b", pd.Timestamp("2026-01-02"), 1.0], ["\ud800", pd.NaT, 2.0]],
        index=["1\0", "2"],
        columns=["note", "when", "note"],
    )
    told = {"slide": {"name": "s\0", "mpp": 0.5}}
    cells = AnnData(obs=obs, obsm={"spatial": np.eye(2)}, uns={"napari_past": told})
    write_cells(cells, tmp_path / f"cells{suffix}")
    back = read_cells(tmp_path / f"cells{suffix}")
    assert back.obs_names.tolist() == ["1\ufffd", "2"]
    assert back.obs.columns.tolist() == ["note", "when", "note (2)"]
    assert [values_of(back.obs[name]) for name in back.obs] == [
        ["a\ufffdb", "\ufffd"],
        ["2026-01-02 00:00:00", None],
        [1.0, 2.0],
    ]
    assert back.uns["napari_past"]["slide"]["name"] == "s\ufffd"


def values_of(column):
    return [None if pd.isna(v) else v for v in column]


def rings(outlines_um, n):
    """The vertices of each cell's outline; none where a file holds none at all."""
    if outlines_um is None:
        return [[]] * n
    return [row[np.isfinite(row).all(axis=1)].tolist() for row in outlines_um]


@pytest.mark.parametrize("suffix", [".h5ad", ".parquet", ".zarr"])
def test_embeddings_and_outlines_are_kept_to_the_bit(cells, tmp_path, suffix):
    write_cells(cells, tmp_path / f"cells{suffix}")
    back = read_cells(tmp_path / f"cells{suffix}")
    for key in ("X_past", "outline_um"):
        np.testing.assert_array_equal(back.obsm[key], cells.obsm[key])
        assert back.obsm[key].dtype == cells.obsm[key].dtype


@pytest.mark.parametrize(
    ("suffix", "within_um"), [(".geojson", 0.006 * 0.499), (".csv", 0.0005)], ids=["geojson", "csv"]
)
def test_texts_keep_outlines_to_their_precision(cells, tmp_path, suffix, within_um):
    write_cells(cells, tmp_path / f"cells{suffix}")
    back = read_cells(tmp_path / f"cells{suffix}")
    before, after = cells.obsm["outline_um"], back.obsm["outline_um"]
    assert np.array_equal(np.isnan(before), np.isnan(after))
    np.testing.assert_allclose(after, before, atol=within_um + 5e-4)  # float32 at 5000 µm


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_table_gives_the_same_bytes(make_cells, tmp_path, suffix):
    for name in ("a", "b"):
        write_cells(make_cells(), tmp_path / f"{name}{suffix}")
    assert content(tmp_path / f"a{suffix}") == content(tmp_path / f"b{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["dask", "sparse"])
def test_a_lazy_or_sparse_matrix_is_written_as_a_plain_one(
    make_cells, tmp_path, suffix, kind, monkeypatch
):
    monkeypatch.setattr("napari_past.io.expression.ROWS", 5)
    cells = make_cells()
    plain = np.nan_to_num(cells.X)
    cells.X = (
        dask.array.from_array(plain, chunks=(5, 2))
        if kind == "dask"
        else scipy.sparse.csr_matrix(plain)
    )
    write_cells(cells, tmp_path / f"cells{suffix}")
    back = read_cells(tmp_path / f"cells{suffix}").X
    np.testing.assert_array_equal(back if isinstance(back, np.ndarray) else back.toarray(), plain)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_say_what_they_are_and_not_where_they_were_made(cells, tmp_path, suffix):
    del cells.uns["napari_past"]["research_use"]
    write_cells(cells, tmp_path / f"cells{suffix}")
    found = content(tmp_path)
    assert RESEARCH_USE.encode() in found
    assert b"past-mini" in found
    assert str(tmp_path).encode() not in found
    assert "research_use" not in cells.uns["napari_past"], "the caller's table is left as it was"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_that_a_slide_looks_like_another_kind_goes_with_the_table(cells, tmp_path, suffix):
    cells.uns["napari_past"]["mismatch"] = "The slide looks like IHC."
    path = tmp_path / f"cells{suffix}"
    write_cells(cells, path)
    assert read_cells(path).uns["napari_past"]["mismatch"] == "The slide looks like IHC."
    if suffix != ".geojson":
        assert read_origin(path).mismatch == "The slide looks like IHC."


def test_the_table_itself_is_unchanged_by_writing(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.h5ad")
    assert cells.var["evidence"].dtype == object


def test_an_unknown_suffix_names_the_known_ones(cells, tmp_path):
    assert list(writable_suffixes()) == SUFFIXES == [f".{name}" for name in FORMATS]
    with pytest.raises(CannotWrite, match=r"'cells.xlsx'; .* \.h5ad, \.csv, .*\.zarr"):
        write_cells(cells, tmp_path / "cells.xlsx")
    with pytest.raises(CannotWrite, match="format 'xlsx'"):
        write_cells(cells, tmp_path / "cells.csv", format="xlsx")
    with pytest.raises(BadTable, match="no suffix of a table"):
        read_cells(tmp_path / "cells.xlsx")


def test_a_named_format_beats_the_suffix(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.txt", format="csv")
    assert pd.read_csv(tmp_path / "cells.txt").shape == (12, 12)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_a_folder_and_rubbish_are_refused(tmp_path, suffix):
    path = tmp_path / f"cells{suffix}"
    with pytest.raises(BadTable, match="There is no file"):
        read_cells(path)
    path.write_bytes(b"\x00\xff rubbish \n\x81")
    with pytest.raises(BadTable):
        read_cells(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(BadTable, match="is no zarr folder" if suffix == ".zarr" else "is a folder"):
        read_cells(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_a_later_version_is_refused(cells, tmp_path, suffix):
    cells.uns["napari_past"]["schema_version"] = 99
    write_cells(cells, tmp_path / f"cells{suffix}")
    with pytest.raises(BadTable, match=r"schema version 99.*update napari-past"):
        read_cells(tmp_path / f"cells{suffix}")


def test_found_cells_of_a_table(cells):
    del cells.obs["area_um2"]
    found = found_cells(cells)
    assert len(found) == 12
    assert [len(found.outlines[i]) for i in range(4)] == [8, 0, 6, 8]
    # A regular octagon of radius 3: 2·√2·3².
    assert found.areas_um2[0] == pytest.approx(2 * np.sqrt(2) * 9, rel=1e-3)
    assert np.isnan(found.areas_um2[1])

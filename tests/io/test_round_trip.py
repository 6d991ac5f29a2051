"""What every format must keep, and what each leaves out."""

import dask.array
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from pandas.testing import assert_frame_equal

from napari_past.errors import BadTable, CannotWrite
from napari_past.io import found_cells, read_cells, writable_suffixes, write_cells
from napari_past.io.origin import read_origin
from napari_past.types import RESEARCH_USE

SUFFIXES = [".h5ad", ".csv", ".geojson"]


def comparable(value):
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items()}
    return list(value) if isinstance(value, (list, np.ndarray)) else value


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


def test_h5ad_keeps_embeddings_and_outlines(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.h5ad")
    back = read_cells(tmp_path / "cells.h5ad")
    for key in ("X_past", "outline_um"):
        np.testing.assert_array_equal(back.obsm[key], cells.obsm[key])
        assert back.obsm[key].dtype == cells.obsm[key].dtype


def test_geojson_keeps_outlines_to_a_hundredth_of_a_pixel(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.geojson")
    back = read_cells(tmp_path / "cells.geojson")
    before, after = cells.obsm["outline_um"], back.obsm["outline_um"]
    assert np.array_equal(np.isnan(before), np.isnan(after))
    np.testing.assert_allclose(after, before, atol=0.006 * 0.499 + 5e-4)  # float32 at 5000 µm


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_table_gives_the_same_bytes(make_cells, tmp_path, suffix):
    for name in ("a", "b"):
        write_cells(make_cells(), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


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
    content = b"".join(f.read_bytes() for f in tmp_path.iterdir())
    assert RESEARCH_USE.encode() in content
    assert b"past-mini" in content
    assert str(tmp_path).encode() not in content
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
    assert writable_suffixes() == (".h5ad", ".csv", ".geojson")
    with pytest.raises(CannotWrite, match=r"'cells.xlsx'; .* \.h5ad, \.csv, \.geojson"):
        write_cells(cells, tmp_path / "cells.xlsx")
    with pytest.raises(CannotWrite, match="format 'xlsx'"):
        write_cells(cells, tmp_path / "cells.csv", format="xlsx")
    with pytest.raises(BadTable, match="no suffix of a table"):
        read_cells(tmp_path / "cells.xlsx")


def test_a_named_format_beats_the_suffix(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.txt", format="csv")
    assert pd.read_csv(tmp_path / "cells.txt").shape == (12, 11)


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
    with pytest.raises(BadTable, match="is a folder"):
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

"""Any table with a slide: what cannot be known is asked for, the rest is read."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from napari_past.errors import MissingPixelSize
from napari_past.sample import draw_counts, draw_phantom
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.spatial.anndata_slide import read_anndata
from napari_past.spatial.errors import BadSource


@pytest.fixture
def table(phantom, tmp_path):
    """Ten cells; ``spatial`` in µm, ``row`` and ``column`` in px of 0.5 µm."""
    places = phantom.centers_um[:10]
    counts = np.random.default_rng(0).poisson(3.0, (10, 3)).astype(np.int64)
    data = anndata.AnnData(
        X=scipy.sparse.csr_matrix(np.log1p(counts).astype(np.float32)),
        obs=pd.DataFrame(
            {
                "row": places[:, 1] / 0.5 - 0.5,
                "column": places[:, 0] / 0.5 - 0.5,
                "label": [f"cell {i}" for i in range(10)],
            },
            index=[str(i) for i in range(10)],
        ),
        var=pd.DataFrame({"symbol": ["EPCAM", "ERBB2", "KRT19"]}, index=["a", "b", "c"]),
        obsm={"spatial": places},
        layers={"counts": counts},
    )
    path = tmp_path / "cells.h5ad"
    data.write_h5ad(path)
    return path, places, counts


def test_positions_in_um(table, he_tiff):
    path, places, counts = table
    section = read_anndata(
        path, he_tiff, unit="um", layer="counts", genes="symbol", ids="label", technology="CosMx"
    )
    np.testing.assert_allclose(section.centers_um, places)
    np.testing.assert_array_equal(section.counts.toarray(), counts)
    assert section.genes == ("EPCAM", "ERBB2", "KRT19")
    assert section.ids[:2] == ("cell 0", "cell 1")
    assert section.mpp == pytest.approx(0.5, rel=1e-6)
    assert (section.name, section.technology, section.spot_diameter_um) == ("cells", "CosMx", None)


def test_positions_in_px_of_named_columns(table, he_png):
    path, places, _ = table
    section = read_anndata(
        path, he_png, 0.5, unit="px", x="column", y="row", layer="counts", genes="symbol"
    )
    np.testing.assert_allclose(section.centers_um, places)


def test_cell_types(table, he_png):
    path, *_ = table

    def read(columns, **options):
        data = anndata.read_h5ad(path)
        for name, values in columns.items():
            data.obs[name] = values
        data.write_h5ad(path)
        return read_anndata(path, he_png, 0.5, unit="um", genes="symbol", **options)

    assert read({}).types is None
    named = pd.Categorical(["B", "T", None, *"BBBBBBB"])
    section = read({"Cell Type": named})
    assert section.types == ("B", "T", "", *"BBBBBBB")
    assert "Cell types are those of the column Cell Type." in section.notes
    two = read({"annotation": ["x"] * 10})
    assert two.types is None
    assert any("several columns of cell types (Cell Type, annotation)" in n for n in two.notes)
    assert read({}, types="annotation").types == ("x",) * 10
    with pytest.raises(BadSource, match=r"no column 'kind' in obs .*give that of the"):
        read({}, types="kind")


def test_the_matrix_is_x_unless_a_layer_is_named(table, he_png):
    path, _, counts = table
    section = read_anndata(path, he_png, 0.5, unit="um", genes="symbol")
    np.testing.assert_allclose(section.counts.toarray(), np.log1p(counts), rtol=1e-6)


def test_no_pixel_size(table, he_png):
    path, *_ = table
    with pytest.raises(MissingPixelSize, match=r"drawn\.png states no pixel size"):
        read_anndata(path, he_png, unit="um")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layer": "raw"}, r"no layer 'raw' \(there are: counts\)"),
        ({"genes": "name"}, r"no column 'name' in var \(there are: symbol\)"),
        ({"ids": "name"}, r"no column 'name' in obs"),
        ({"x": "colum", "y": "row"}, "no column 'colum' in obs"),
        ({"x": "column"}, "x and y are given together"),
        ({"technology": "Slide-seq"}, "technology must be one of"),
        ({"species": "yeast"}, "human or mouse, but got 'yeast'"),
    ],
)
def test_options_that_fit_nothing(table, he_png, options, said):
    path, *_ = table
    with pytest.raises(BadSource, match=said):
        read_anndata(path, he_png, 0.5, unit="px", **options)


def test_files_that_are_no_tables(table, he_png, tmp_path):
    with pytest.raises(BadSource, match=r"The table .*gone\.h5ad does not exist"):
        read_anndata(tmp_path / "gone.h5ad", he_png, 0.5, unit="px")
    broken = tmp_path / "broken.h5ad"
    broken.write_bytes(b"not HDF5")
    with pytest.raises(BadSource, match=r"broken\.h5ad cannot be read as an AnnData file"):
        read_anndata(broken, he_png, 0.5, unit="px")


def test_table_without_positions(table, he_png):
    path, *_ = table
    data = anndata.read_h5ad(path)
    del data.obsm["spatial"]
    data.write_h5ad(path)
    with pytest.raises(BadSource, match=r'no obsm\["spatial"\]; give the columns'):
        read_anndata(path, he_png, 0.5, unit="px")


def test_real_cells_whose_x_is_the_row(data_dir):
    folder = data_dir / "xenium_lung"
    section = read_anndata(
        folder / "NCBI858.h5ad",
        folder / "NCBI858.jpg",
        2.0,
        unit="px",
        x="y_pixel",
        y="x_pixel",
        tissue="lung",
        technology="Xenium",
    )
    assert (len(section), section.name, section.tissue) == (200, "NCBI858", "lung")
    data = anndata.read_h5ad(folder / "NCBI858.h5ad")
    np.testing.assert_allclose(section.centers_um[:, 0] / 2.0 - 0.5, data.obs["y_pixel"])
    np.testing.assert_allclose(section.centers_um[:, 1] / 2.0 - 0.5, data.obs["x_pixel"])
    assert len(section.genes) <= 338
    assert "EPCAM" in section.genes
    np.testing.assert_array_equal(
        section.counts[:, [section.genes.index("EPCAM")]].toarray().ravel(),
        np.asarray(data[:, "EPCAM"].X).ravel(),
    )


def test_the_samples_measurement_is_told_to_be_drawn(tmp_path):
    phantom = draw_phantom(400, 300, 0.5, seed=1)
    write_pyramid(tmp_path / "p.tif", phantom.rgb, 0.5, "p", jpeg=False)
    table = draw_counts(phantom)
    for made_by, told in ((table.uns["made_by"], True), ("somebody", False)):
        table.uns["made_by"] = made_by
        table.write_h5ad(tmp_path / "m.h5ad")
        section = read_anndata(tmp_path / "m.h5ad", tmp_path / "p.tif", unit="um")
        assert any("drawn for the sample" in note for note in section.notes) is told

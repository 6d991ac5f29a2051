import json

import anndata
import geopandas
import numpy as np
import pytest
import spatialdata
from spatialdata.transformations import get_transformation

from napari_past.errors import BadTable, Cancelled, CannotWrite
from napari_past.io import check_cells_writable, read_cells, write_cells
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.slide import open_slide


def names_in(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def slide(tmp_path):
    """1300 x 1100 px at 0.5 µm/px, in a folder that says whose it is."""
    folder = tmp_path / "Dr-Recognisable-Patient-4711"
    folder.mkdir()
    pixels = np.random.default_rng(3).integers(0, 255, (1100, 1300, 3), dtype=np.uint8)
    write_pyramid(folder / "a.ome.tif", pixels, 0.5, "a", jpeg=False)
    with open_slide(folder / "a.ome.tif") as opened:
        yield opened


def test_spatialdata_reads_table_shapes_and_units(cells, tmp_path):
    cells.obsm["cell_outline_um"] = cells.obsm["outline_um"] * np.float32(1.0)
    # SpatialData takes no such names.
    odd = ["Nucleus: Area µm^2", "nucleus: area µm^2", "__mine"]
    cells.obs[odd] = np.arange(3.0)
    write_cells(cells, tmp_path / "cells.zarr")
    back = read_cells(tmp_path / "cells.zarr")
    assert back.obs.columns.tolist() == cells.obs.columns.tolist()
    found = spatialdata.read_zarr(tmp_path / "cells.zarr")
    assert set(found.shapes) == {"cells", "cell_points", "whole_cells"}
    assert not list(found.images)
    table = found["table"]
    assert table.obs_names.tolist() == cells.obs_names.tolist()
    np.testing.assert_array_equal(table.X, cells.X)
    # The second cell has no outline.
    regions = table.obs["region"].astype(str).tolist()
    assert regions == ["cells", "cell_points"] + ["cells"] * 10
    joint = spatialdata.join_spatialelement_table(
        sdata=found, spatial_element_names="cells", table_name="table"
    )
    assert len(joint[0]["cells"]) == joint[1].n_obs == 11
    # napari-spatialdata takes integers alone; the ids stand beside them.
    assert found["cells"].index.dtype == table.obs["instance_id"].dtype == np.int64
    assert found["cells"]["cell_id"].tolist() == joint[1].obs_names.tolist()
    first = found["cells"].loc[0].geometry
    np.testing.assert_array_equal(
        np.array(first.exterior.coords)[:-1], cells.obsm["outline_um"][0].astype(np.float64)
    )
    (circle,) = found["cell_points"].itertuples()
    assert (circle.geometry.x, circle.geometry.y) == tuple(cells.obsm["spatial"][1])
    assert circle.radius == pytest.approx(np.sqrt(cells.obs["area_um2"].iloc[1] / np.pi))
    told = json.loads((tmp_path / "cells.zarr" / "shapes" / "cells" / "zarr.json").read_text())
    axes = told["attributes"]["coordinateTransformations"][0]["output"]["axes"]
    assert [(a["name"], a["unit"]) for a in axes] == [("x", "micrometer"), ("y", "micrometer")]
    slide = found.attrs["napari_past"]["slide"]
    assert (slide["name"], slide["mpp"]) == ("slide.svs", 0.499)


def test_no_cells_and_cells_without_outlines(make_cells, tmp_path):
    write_cells(make_cells(0), tmp_path / "none.zarr")
    assert spatialdata.read_zarr(tmp_path / "none.zarr")["table"].n_obs == 0
    bare = make_cells(3)
    del bare.obsm["outline_um"]
    write_cells(bare, tmp_path / "bare.zarr")
    found = spatialdata.read_zarr(tmp_path / "bare.zarr")
    assert set(found.shapes) == {"cell_points"}
    assert found["table"].uns["spatialdata_attrs"]["region"] == "cell_points"


def test_the_slide_is_embedded_where_asked(cells, slide, tmp_path):
    path, shares = tmp_path / "cells.zarr", []
    write_cells(cells, path, slide=slide)
    assert not (path / "images").exists(), "by name alone"
    write_cells(cells, path, slide=slide, embed_image=True, on_share=shares.append)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    found = spatialdata.read_zarr(path)
    image = found["image"]
    levels = [image[level]["image"] for level in image]
    assert [level.shape for level in levels] == [
        (3, *level.shape[:2]) for level in slide.display_levels
    ]
    np.testing.assert_array_equal(
        levels[0].to_numpy(), np.moveaxis(slide.level_arrays[0].compute(), 2, 0)
    )
    to_um = get_transformation(image, "global").to_affine_matrix(("x", "y"), ("x", "y"))
    np.testing.assert_array_equal(to_um, np.diag([0.5, 0.5, 1.0]))
    files = [f for f in path.rglob("*") if f.is_file()]
    assert not any(b"Recognisable" in f.read_bytes() for f in files)
    assert not any("Recognisable" in str(f.relative_to(path)) for f in files)


def test_a_folder_appears_whole_or_not_at_all(cells, slide, tmp_path):
    path = tmp_path / "cells.zarr"
    write_cells(cells, path)
    before = read_cells(path).obs_names.tolist()
    there = names_in(tmp_path)
    stop = [False, True]
    with pytest.raises(Cancelled, match=r"while cells\.zarr was written"):
        write_cells(
            cells[:3].copy(), path, slide=slide, embed_image=True, cancelled=lambda: stop.pop(0)
        )
    assert names_in(tmp_path) == there
    assert read_cells(path).obs_names.tolist() == before
    write_cells(cells[:3].copy(), path)
    assert names_in(tmp_path) == there
    assert read_cells(path).n_obs == 3


@pytest.mark.parametrize("suffix", [".csv", ".geojson", ".parquet"])
def test_a_cancelled_file_is_not_there(cells, tmp_path, suffix):
    stop = [False, True]
    with pytest.raises(Cancelled):
        write_cells(cells, tmp_path / f"c{suffix}", cancelled=lambda: stop.pop(0))
    assert names_in(tmp_path) == []


def test_folders_of_others_are_never_replaced(cells, tmp_path):
    foreign = tmp_path / "slide.zarr"
    foreign.mkdir()
    (foreign / "zarr.json").write_text('{"attributes": {"ome": {}}}')
    for attempt in (check_cells_writable, lambda path: write_cells(cells, path)):
        with pytest.raises(CannotWrite, match="napari-past did not write"):
            attempt(foreign)
    (tmp_path / "file.zarr").write_text("")
    with pytest.raises(CannotWrite, match="is a file"):
        check_cells_writable(tmp_path / "file.zarr")
    with pytest.raises(CannotWrite, match="does not exist; create it"):
        check_cells_writable(tmp_path / "none" / "c.zarr")
    check_cells_writable(tmp_path / "new.zarr")
    assert names_in(tmp_path) == ["file.zarr", "slide.zarr"]


def test_images_are_embedded_in_zarr_alone(cells, tmp_path):
    with pytest.raises(CannotWrite, match=r"embedded in \.zarr, not in \.csv"):
        write_cells(cells, tmp_path / "c.csv", embed_image=True)
    with pytest.raises(CannotWrite, match="no slide is given"):
        write_cells(cells, tmp_path / "c.zarr", embed_image=True)


def test_anndata_folders_are_read(cells, tmp_path):
    with anndata.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False):
        cells.write_zarr(tmp_path / "plain.zarr")
    back = read_cells(tmp_path / "plain.zarr")
    np.testing.assert_array_equal(back.obsm["spatial"], cells.obsm["spatial"])
    (tmp_path / "plain.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(BadTable, match="holds no table of cells"):
        read_cells(tmp_path / "plain.zarr")


def test_geopandas_reads_parquet(cells, tmp_path):
    write_cells(cells, tmp_path / "cells.parquet")
    frame = geopandas.read_parquet(tmp_path / "cells.parquet")
    assert frame.crs is None
    assert frame["id"].tolist() == cells.obs_names.tolist()
    assert frame.geometry.iloc[1].geom_type == "Point"
    x0, y0, x1, y1 = frame.geometry.iloc[0].bounds
    outline = cells.obsm["outline_um"][0]
    assert (x0, y0, x1, y1) == (*outline.min(axis=0), *outline.max(axis=0))
    np.testing.assert_array_equal(frame["ERBB2"], cells.X[:, 0])
    assert frame["X_past"].iloc[3].dtype == np.float16
    assert str(frame["ERBB2_class"].dtype) == "category"
    assert frame["ERBB2_class"].cat.ordered

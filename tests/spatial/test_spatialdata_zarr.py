"""SpatialData folders, written by the package itself (see ``data/write_spatialdata.py``)."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from napari_past.sample.ome_tiff import write_pyramid
from napari_past.spatial import BadPairing, BadSource, MeasuredAs, kind_of, read_measured
from napari_past.spatial.ngff import matrix

# As the script draws them: pixels of 0.5 µm.
CELLS_UM = np.random.default_rng(1).uniform((40, 40), (920, 600), (8, 2)).round(2) * 0.5
ROW, COLUMN = np.array([(r, 2 * c + r % 2) for r in range(3) for c in range(4)]).T
SPOTS_UM = np.stack([COLUMN * 50 + 30.0, ROW * 50 * np.sqrt(3) + 40.0], axis=1)
COUNTS = np.arange(24).reshape(8, 3) % 7 + 1


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spatialdata")
    with tarfile.open(Path(__file__).parent / "data" / "spatialdata.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("name", ["xenium", "xenium_labels", "xenium_v2", "xenium_v1"])
def test_xenium(stores, he_tiff, name):
    assert kind_of(stores / f"{name}.zarr") == "spatialdata"
    section = read_measured(stores / f"{name}.zarr", he_tiff, MeasuredAs(patient="P"))
    np.testing.assert_allclose(section.centers_um, CELLS_UM, atol=1e-6)
    # Six nuclei lie 0.5 µm to the right of their cells on the DAPI image, which is turned.
    beside = np.zeros((8, 2))
    beside[:6, 1] = -0.5
    np.testing.assert_allclose(section.nuclei_um - section.centers_um, beside, atol=1e-6)
    np.testing.assert_array_equal(section.counts.toarray(), COUNTS)
    assert section.genes == ("EPCAM", "PTPRC", "COL1A1")
    assert (section.technology, section.spot_diameter_um) == ("Xenium", None)
    assert (section.image, section.mpp, section.patient) == (he_tiff, pytest.approx(0.5), "P")
    typed = None if name == "xenium_labels" else ("tumour", "T cell") * 4
    assert section.types == typed


@pytest.mark.parametrize(
    ("name", "shown"), [("visium", "drawn_full_image"), ("visium_v1", "drawn_hires_image")]
)
def test_visium(stores, he_tiff, he_png, name, shown):
    store = stores / f"{name}.zarr"
    section = read_measured(store, he_tiff)
    np.testing.assert_allclose(section.centers_um, SPOTS_UM, atol=1e-6)
    assert (section.technology, section.spot_diameter_um) == ("Visium", 55.0)
    assert f"drawn_he_image.ome.tif was taken for what {shown} of {name}.zarr shows." in (
        section.notes
    )
    # A picture that states no µm/px gets it from the spots.
    assert read_measured(store, he_png).mpp == pytest.approx(0.5)


def test_the_picture_at_another_resolution(stores, phantom, tmp_path):
    slide = tmp_path / "half.tif"
    half = np.asarray(Image.fromarray(phantom.rgb).resize((480, 320)))
    write_pyramid(slide, half, 1.0, "half", jpeg=False)
    section = read_measured(stores / "xenium.zarr", slide)
    assert section.mpp == pytest.approx(1.0)
    np.testing.assert_allclose(section.centers_um, CELLS_UM, atol=1e-6)


def test_bins_of_visium_hd(stores, he_tiff):
    store = stores / "visium_hd.zarr"
    section = read_measured(store, he_tiff)
    assert (section.technology, section.spot_diameter_um) == ("VisiumHD", 8.0)
    np.testing.assert_allclose(section.centers_um[:, 0], 50 + 8.0 * np.arange(4))
    for asked in (MeasuredAs(bin_um=16), MeasuredAs(section="drawn_square_016um")):
        wider = read_measured(store, he_tiff, asked)
        assert wider.spot_diameter_um == 16.0
        np.testing.assert_allclose(wider.centers_um[:, 0], 50 + 16.0 * np.arange(4))
    with pytest.raises(BadSource, match=r"2 tables \(square_008um, square_016um\); .*--section"):
        read_measured(store, he_tiff, MeasuredAs(bin_um=2))


def test_picture_that_the_folder_does_not_show(stores, phantom, tmp_path):
    slide = tmp_path / "part.tif"
    write_pyramid(slide, np.ascontiguousarray(phantom.rgb[:, :700]), 0.5, "part", jpeg=False)
    with pytest.raises(BadSource, match=r"No image of visium.zarr shows .*part.tif.*--landmarks"):
        read_measured(stores / "visium.zarr", slide)
    pixels = read_measured(stores / "visium.zarr", slide, MeasuredAs(unit="px"))
    np.testing.assert_allclose(pixels.centers_um, SPOTS_UM)
    affine = tmp_path / "map.csv"
    affine.write_text("1,0,5\n0,1,6\n")
    moved = read_measured(stores / "visium.zarr", slide, MeasuredAs(unit="px", affine=affine))
    np.testing.assert_allclose(moved.centers_um, SPOTS_UM + (5, 6))
    # Cells in the instrument's µm, to be placed by hand: distances are those on the H&E.
    loose = read_measured(stores / "xenium.zarr", slide, MeasuredAs(to_be_placed=True))
    found, wanted = (np.linalg.norm(c - c[0], axis=1) for c in (loose.centers_um, CELLS_UM))
    np.testing.assert_allclose(found, wanted)


@pytest.fixture
def copied(stores, tmp_path):
    return Path(shutil.copytree(stores / "xenium.zarr", tmp_path / "xenium.zarr"))


def test_rows_without_a_shape(copied, he_tiff):
    parquet = copied / "shapes" / "cell_circles" / "shapes.parquet"
    pd.read_parquet(parquet).iloc[:6].to_parquet(parquet)
    with pytest.raises(BadPairing, match="2 of 8 rows have no shape in cell_circles"):
        read_measured(copied, he_tiff)
    shutil.rmtree(copied / "shapes" / "cell_circles")
    with pytest.raises(BadSource, match="no shapes cell_circles that tell where rows lie"):
        read_measured(copied, he_tiff)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("shapes/cell_circles/shapes.parquet", "cell_circles cannot be read as shapes"),
        ("shapes/cell_circles/zarr.json", "cell_circles cannot be read as shapes"),
        ("images/he_image/zarr.json", "he_image cannot be read as an image"),
        ("tables/table/X/data/zarr.json", "cannot be read as an AnnData file"),
    ],
)
def test_damaged_folders(copied, he_tiff, file, said):
    content = (copied / file).read_bytes()
    (copied / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadSource, match=said):
        read_measured(copied, he_tiff)


def test_folders_without_a_table(copied, he_tiff):
    shutil.rmtree(copied / "tables" / "table")
    with pytest.raises(BadSource, match="holds no table of counts"):
        read_measured(copied, he_tiff)


def test_options_that_fit_nothing(stores, he_tiff):
    def told(said, **asked):
        with pytest.raises(BadSource, match=said):
            read_measured(stores / "xenium.zarr", he_tiff, MeasuredAs(**asked))

    told("no layer 'raw'", layer="raw")
    told("no column 'kind' in obs", types="kind")
    told("no column 'symbol' in var", genes="symbol")
    told("no column 'nr' in obs", ids="nr")
    told("--alignment means nothing for spatialdata; .*of xenium", alignment=he_tiff)


AXES = [{"name": n} for n in "cyx"]


@pytest.mark.parametrize(
    ("transformation", "expected"),
    [
        ({"type": "scale", "scale": [1, 3, 2]}, [[2, 0, 0], [0, 3, 0]]),
        ({"type": "translation", "translation": [0, 7, 5]}, [[1, 0, 5], [0, 1, 7]]),
        ({"type": "mapAxis", "mapAxis": {"x": "y", "y": "x"}}, [[0, 1, 0], [1, 0, 0]]),
        (
            {
                "type": "affine",
                "affine": [[1, 0, 0, 0], [0, 3, 4, 7], [0, 6, 2, 5]],
                "output": {"axes": AXES},
            },
            [[2, 6, 5], [4, 3, 7]],
        ),
        (
            {
                "type": "sequence",
                "transformations": [
                    {"type": "scale", "scale": [1, 3, 2]},
                    {"type": "translation", "translation": [0, 7, 5]},
                ],
            },
            [[2, 0, 5], [0, 3, 7]],
        ),
    ],
    ids=lambda v: v["type"] if isinstance(v, dict) else "",
)
def test_transformations(transformation, expected):
    np.testing.assert_allclose(matrix(transformation, ["c", "y", "x"])[:2], expected)


def test_transformations_that_are_no_affine_maps():
    with pytest.raises(ValueError, match="'byDimension'"):
        matrix({"type": "byDimension"}, ["y", "x"])

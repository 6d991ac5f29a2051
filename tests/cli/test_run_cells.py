"""Cells that are brought, from the command line."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.io import read_cells
from napari_past.sample import write_phantom

CENTERS_PX = [(100, 100), (150, 120), (200, 160)]


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("brought") / "s.ome.tif", 256, 208)


@pytest.fixture
def labels(tmp_path):
    """A label image of three squares on the slide's pixels, named after the slide."""
    import tifffile

    image = np.zeros((208, 256), np.uint16)
    for number, (x, y) in enumerate(CENTERS_PX, start=1):
        image[y - 6 : y + 6, x - 6 : x + 6] = number
    (tmp_path / "cells").mkdir()
    file = tmp_path / "cells" / "s.tif"
    tifffile.imwrite(file, image)
    return file


def test_labels_of_a_slide_of_many(command, slide, labels, tmp_path, tiny_model_file):
    named = ("--model", tiny_model_file, "--genes", "ERBB2", "--out", tmp_path / "out")
    done = command("run", slide, *named, "--cells", labels.parent, "--format", "csv")
    assert done.code == 0, done.err
    assert "The cells are those of s.tif" in done.out
    table = read_cells(tmp_path / "out" / "s.csv")
    np.testing.assert_allclose(table.obsm["spatial"], 0.5 * np.array(CENTERS_PX), atol=0.3)

    # Another file of cells: the slide is analysed again, and said so.
    import tifffile

    image = tifffile.imread(labels)
    image[image == 3] = 0
    tifffile.imwrite(labels, image)
    done = command("run", slide, *named, "--cells", labels.parent, "--format", "csv")
    assert (done.code, "its cells changed since it was analysed" in done.err) == (0, True)
    assert read_cells(tmp_path / "out" / "s.csv").n_obs == 2


@pytest.mark.parametrize("form", ["geojson", "parquet", "zarr"])
def test_every_format_comes_back(command, slide, labels, tmp_path, tiny_model_file, form):
    file = tmp_path / f"x.{form}"
    named = ("--model", tiny_model_file, "--genes", "ERBB2", "--cells", labels)
    image = ("--embed-image",) if form == "zarr" else ()
    done = command("run", slide, "--out", file, *named, *image)
    assert done.code == 0, done.err
    table = read_cells(file)
    np.testing.assert_allclose(table.obsm["spatial"], 0.5 * np.array(CENTERS_PX), atol=0.3)
    assert table.uns["napari_past"]["cells"]["source"] == "s.tif"


def test_cells_and_a_detector_that_would_find_others(command, slide, labels, tmp_path):
    done = command(
        "run", slide, "--out", tmp_path / "x.csv", "--cells", labels, "--detector", "instanseg"
    )
    assert (done.code, done.out) == (2, "")
    assert "so --detector instanseg has none to find; give one of the two" in done.err
    assert not (tmp_path / "x.csv").exists()


def test_a_decimal_comma_is_told(command, slide, tmp_path):
    done = command("run", slide, "--out", tmp_path / "x.csv", "--mpp", "0,5")
    assert (done.code, "write it as 0.25, with a point" in done.err) == (2, True)

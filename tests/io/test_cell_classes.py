"""The classes of a user's classifier in every format, and as QuPath has them."""

from __future__ import annotations

import json

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
from anndata import AnnData

from napari_past.brought.tables import columns_of
from napari_past.io import read_cells, read_csv, write_cells
from napari_past.io.csv_table import sidecar_of
from napari_past.stain import CLASS_NAMES

NAMES = ["tumour", "stroma", "never called"]
CARD = {"name": "mine", "classes": NAMES, "labelled": {"tumour": 3, "stroma": 2},
        "evidence": "not validated"}  # fmt: skip


@pytest.fixture
def classed(cells) -> AnnData:
    n = cells.n_obs
    cells.obs["cell_class"] = pd.Categorical.from_codes(np.arange(n) % 2, NAMES)
    cells.obs["cell_class_probability"] = np.linspace(0.4, 1, n, dtype=np.float32)
    cells.uns["napari_past"]["classifier"] = CARD
    return cells


@pytest.mark.parametrize("suffix", [".h5ad", ".csv", ".geojson", ".parquet", ".zarr"])
def test_classes_and_card_come_back(classed, tmp_path, suffix):
    path = tmp_path / f"cells{suffix}"
    write_cells(classed, path)
    back = read_cells(path)
    assert back.obs["cell_class"].tolist() == classed.obs["cell_class"].tolist()
    assert list(back.obs["cell_class"].cat.categories) == NAMES
    assert not back.obs["cell_class"].cat.ordered
    npt.assert_array_equal(
        back.obs["cell_class_probability"], classed.obs["cell_class_probability"]
    )
    assert list(back.var_names) == list(classed.var_names)
    card = back.uns["napari_past"]["classifier"]
    assert {k: list(v) if k == "classes" else v for k, v in card.items()} == CARD


def features(cells: AnnData, path) -> list[dict]:
    write_cells(cells, path)
    return [f["properties"] for f in json.loads(path.read_text(encoding="utf-8"))["features"]]


def test_qupath_has_the_classes_beside_those_of_a_marker(classed, tmp_path):
    found = features(classed, tmp_path / "cells.geojson")
    assert found[0]["metadata"] == {"Cell class": "tumour"}
    assert found[0]["classification"]["name"] == "Negative"
    assert found[-1]["measurements"]["Cell class: probability"] == 1


@pytest.mark.parametrize("names", [NAMES, list(CLASS_NAMES)], ids=["names", "names of a marker's"])
def test_without_a_marker_the_class_is_the_classification(classed, tmp_path, names):
    del classed.obs["ERBB2_class"]
    classed.obs["classification"] = "theirs"
    kinds = pd.Categorical.from_codes(np.arange(classed.n_obs) % 2, names)
    classed.obs["cell_class"] = kinds
    found = features(classed, tmp_path / "cells.geojson")
    assert [f["classification"] for f in found[:2]] == [{"name": names[0]}, {"name": names[1]}]


def test_they_are_no_genes_in_a_table_that_lost_its_provenance(classed, tmp_path):
    path = tmp_path / "cells.csv"
    write_cells(classed, path)
    sidecar_of(path).unlink()
    back = read_csv(path)
    assert list(back.var_names) == list(classed.var_names)
    assert back.obs["cell_class"].tolist() == classed.obs["cell_class"].tolist()


def test_those_of_an_earlier_analysis_do_not_come_along(classed):
    assert not {"cell_class", "cell_class_probability"} & set(columns_of(classed.obs))

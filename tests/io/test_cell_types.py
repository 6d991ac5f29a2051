"""The nearest type of a reference bank in every format, and as QuPath has it."""

from __future__ import annotations

import json

import numpy as np
import numpy.testing as npt
import pandas as pd
import pytest
from anndata import AnnData

from napari_past.io import read_cells, read_csv, write_cells
from napari_past.io.csv_table import sidecar_of

NAMES = ["B cell", "T cell", "never seen"]


@pytest.fixture
def typed(cells) -> AnnData:
    n = cells.n_obs
    cells.obs["cell_type"] = pd.Categorical.from_codes(np.arange(n) % 2, NAMES)
    cells.obs["cell_type_margin"] = np.linspace(0, 0.5, n, dtype=np.float32)
    return cells


@pytest.mark.parametrize("suffix", [".h5ad", ".csv", ".geojson"])
def test_types_and_margins_come_back(typed, tmp_path, suffix: str) -> None:
    path = tmp_path / f"cells{suffix}"
    write_cells(typed, path)
    back = read_cells(path)
    assert back.obs["cell_type"].astype(str).tolist() == typed.obs["cell_type"].tolist()
    assert isinstance(back.obs["cell_type"].dtype, pd.CategoricalDtype)
    npt.assert_array_equal(back.obs["cell_type_margin"], typed.obs["cell_type_margin"])
    assert list(back.obs.columns) == list(typed.obs.columns)
    assert list(back.var_names) == list(typed.var_names)


def features(cells: AnnData, path) -> list[dict]:
    write_cells(cells, path)
    return [f["properties"] for f in json.loads(path.read_text(encoding="utf-8"))["features"]]


def test_qupath_keeps_the_classes_of_a_gene_and_has_the_type_beside(typed, tmp_path) -> None:
    found = features(typed, tmp_path / "cells.geojson")
    assert [f["metadata"] for f in found[:2]] == [
        {"Cell type": "B cell"}, {"Cell type": "T cell"},
    ]  # fmt: skip
    assert found[0]["classification"] == {"name": "Negative", "color": [90, 90, 180]}
    assert "classification" not in found[2]  # no value, no class: the type is none
    assert found[1]["measurements"]["cell_type_margin"] == pytest.approx(0.5 / 11, abs=1e-6)


def test_without_classes_the_type_is_the_classification(typed, tmp_path) -> None:
    del typed.obs["ERBB2_class"]
    typed.obs.loc[typed.obs_names[3], "cell_type"] = None
    found = features(typed, tmp_path / "cells.geojson")
    assert [f.get("classification") for f in found[:4]] == [
        {"name": "B cell"}, {"name": "T cell"}, {"name": "B cell"}, None,
    ]  # fmt: skip
    assert "metadata" not in found[3]
    back = read_cells(tmp_path / "cells.geojson")
    assert back.obs["cell_type"].isna().tolist()[:4] == [False, False, False, True]


def test_a_table_without_types_says_nothing_of_them(cells, tmp_path) -> None:
    assert all("metadata" not in f for f in features(cells, tmp_path / "cells.geojson"))


def test_a_margin_is_no_gene_in_a_table_that_lost_its_provenance(typed, tmp_path) -> None:
    path = tmp_path / "cells.csv"
    write_cells(typed, path)
    sidecar_of(path).unlink()
    back = read_csv(path)
    assert list(back.var_names) == list(typed.var_names)
    npt.assert_allclose(back.obs["cell_type_margin"], typed.obs["cell_type_margin"])

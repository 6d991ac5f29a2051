"""A model on measured rows, against its cells put together one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

import napari_past
from napari_past.model import load_model
from napari_past.sample import write_phantom
from napari_past.slide import open_slide
from napari_past.spatial.section import MeasuredSection
from napari_past.validation.model_predictor import ModelPredictor, model_symbols
from napari_past.validation.predictor import NOBODY
from napari_past.validation.tissue import tissue_of


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = write_phantom(tmp_path_factory.mktemp("slide") / "phantom.ome.tif", 512, 400)
    with open_slide(path) as opened:
        yield opened


def test_a_spot_is_the_mean_over_the_nuclei_that_a_run_finds_in_it(slide, tiny_model_file):
    """Spots reach beyond the slide's edge; one lies on the corner, where no nucleus is."""
    model = load_model(tiny_model_file, "cpu")
    x_um, y_um = np.meshgrid([20.0, 80, 140, 200], [10.0, 70, 130, 190])
    spots = np.stack([x_um.ravel(), y_um.ravel()], axis=1)
    spots = np.concatenate([spots, [[255.9, 199.9]]])
    section = MeasuredSection(
        name="S",
        patient="P",
        species="human",
        tissue="",
        technology="ST",
        image=Path("he.tif"),
        mpp=0.5,
        ids=tuple(map(str, range(17))),
        centers_um=spots,
        counts=csr_array(np.ones((17, 3), np.float32)),
        genes=("EPCAM", "OTHER", "ERBB2"),
        spot_diameter_um=40.0,
    )
    tissue = tissue_of(section, slide, "f" * 64)
    predictor = ModelPredictor(model)
    assert predictor.genes(section.genes) == ("EPCAM", "ERBB2")
    (values,) = predictor.predict([tissue], [], ("ERBB2", "EPCAM"), NOBODY)
    cells = napari_past.predict(slide, model).compute()
    of_cell = model.expression(cells.embeddings, ["ERBB2", "EPCAM"])
    away = np.linalg.norm(cells.centers_um[:, None] - spots, axis=2)
    filled = 0
    for k, row in enumerate(values):
        mine = (away[:, k] <= 20) & (away.argmin(axis=1) == k)
        if mine.any():
            filled += 1
            np.testing.assert_allclose(row, of_cell[mine].mean(axis=0), atol=0.02)
        else:
            assert np.isnan(row).all()
    assert filled > 5
    assert np.isnan(values).any()


def test_genes_that_were_renamed_are_found_under_their_new_symbols(tiny_model_file):
    """MARCH1 was renamed to MARCHF1; a model may know either."""
    assert model_symbols(["MARCH1", "ERBB2"], ["MARCHF1", "ERBB2", "X"]) == {
        "ERBB2": "ERBB2",
        "MARCHF1": "MARCH1",
    }
    assert model_symbols(["MARCHF1", "MARCH1"], ["MARCHF1"]) == {"MARCHF1": "MARCHF1"}
    predictor = ModelPredictor(load_model(tiny_model_file, "cpu"))
    assert predictor.genes(("CD3E", "NOT", "ERBB2")) == ("CD3E", "ERBB2")
    assert predictor.genes(("KRT5", "NOT")) == ("KRT5",)

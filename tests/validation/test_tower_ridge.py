"""A ridge on a frozen tower, and what a model's bank says, on rows of a drawn slide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from napari_past.model import load_model
from napari_past.sample import write_phantom
from napari_past.slide import Slide, open_slide
from napari_past.spatial.section import MeasuredSection
from napari_past.types import PixelGrid
from napari_past.validation.model_predictor import ModelPredictor
from napari_past.validation.predictor import NOBODY, TissueFold
from napari_past.validation.ridge import PENALTIES
from napari_past.validation.tissue import Tissue, tissue_of
from napari_past.validation.tower_ridge import RidgeOnTower

MPP, ROWS = 0.5, 80
GENES = ("ERBB2", "EPCAM", "KRT5", "ACTB")


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    path = write_phantom(tmp_path_factory.mktemp("slide") / "phantom.ome.tif", 640, 512)
    with open_slide(path) as opened:
        yield opened


def places() -> np.ndarray:
    return np.random.default_rng(2).uniform((40, 40), (280, 216), (ROWS, 2))


def vectors(slide: Slide, model, xy_um: np.ndarray) -> np.ndarray:
    """The tower's output at each place, by one pass over the whole slide."""
    width, height = 640, 512
    pixels = slide.read_grid(-64, -64, width + 128, height + 128, MPP)
    return model.encode_tile(pixels, PixelGrid(-64 * MPP, -64 * MPP, MPP), xy_um).astype(np.float64)


def tissue(slide: Slide, targets: np.ndarray, spot_um=None, nuclei_um=None, centers=None) -> Tissue:
    """Rows whose log1p(counts per 10k) of the first three genes are `targets`, to the bit."""
    counts = np.expm1(targets)
    counts = np.column_stack([counts, 1e4 - counts.sum(axis=1)]).astype(np.float32)
    section = MeasuredSection(
        name="S", patient="P", species="human", tissue="", technology="other", image=Path("he.tif"),
        mpp=MPP, ids=tuple(f"c{i}" for i in range(len(counts))),
        centers_um=places() if centers is None else centers, counts=csr_array(counts), genes=GENES,
        spot_diameter_um=spot_um, nuclei_um=nuclei_um,
    )  # fmt: skip
    return tissue_of(section, slide, "f" * 64)


def halves(n: int) -> list[TissueFold]:
    first = np.arange(n) < n // 2
    return [TissueFold((first,), (~first,)), TissueFold((~first,), (first,))]


def test_a_linear_gene_is_found_in_the_vectors(slide, tiny_model_file):
    """What is a linear function of the tower's vectors is predicted as such on held-out rows, by
    the ridge that scikit-learn fits on the training rows."""
    model = load_model(tiny_model_file, "cpu")
    x = vectors(slide, model, places())
    targets = StandardScaler().fit_transform(x)[:, :3] * 0.5 + 3
    part = tissue(slide, targets)
    predictor = RidgeOnTower(model)
    folds = halves(ROWS)
    (got,) = predictor.predict([part], folds, GENES[:2], NOBODY)
    (more,) = predictor.predict([part], folds, GENES[1:3], NOBODY)
    np.testing.assert_array_equal(got[:, 1], more[:, 0])
    expected = np.empty((ROWS, 2))
    for fold in folds:
        (held,), (train,) = fold.held, fold.train
        scaler = StandardScaler().fit(x[train])
        alpha = PENALTIES[0] * train.sum()  # the least: nothing is noise here
        ridge = Ridge(alpha=alpha).fit(scaler.transform(x[train]), targets[train, :2])
        expected[held] = ridge.predict(scaler.transform(x[held]))
    np.testing.assert_allclose(got, expected, atol=0.02)
    assert all(np.corrcoef(got[:, g], targets[:, g])[0, 1] > 0.9 for g in range(2))
    assert predictor.name == "ridge on the frozen tower of tiny"
    assert predictor.field_um == 64
    assert predictor.fitted_here


def test_a_spot_is_the_mean_of_its_cells(slide, tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    nuclei = places()
    spots = np.stack(np.meshgrid(np.arange(5), np.arange(3)), -1).reshape(-1, 2) * 50.0 + 60
    spots = np.concatenate([spots, [[300.0, 20.0]]])  # no nucleus lies in the last
    part = tissue(slide, np.full((len(spots), 3), 2.0), 50.0, nuclei, spots)
    found = RidgeOnTower(model).row_vectors(part, NOBODY)
    x = vectors(slide, model, nuclei)
    for row, center in zip(found, spots, strict=True):
        inside = np.hypot(*(nuclei - center).T) <= 25
        nearest = [np.hypot(*(spots - n).T).argmin() for n in nuclei[inside]]
        mine = x[inside][[(spots[k] == center).all() for k in nearest]]
        if len(mine):
            np.testing.assert_allclose(row, mine.mean(0), atol=2e-3)
        else:
            assert np.isnan(row).all()
    (values,) = found_values = RidgeOnTower(model).predict(
        [part], halves(len(spots)), GENES[:1], NOBODY
    )
    assert len(found_values) == 1
    assert np.isnan(values[-1]).all()
    assert np.isfinite(values[0]).all()


def test_a_bank_answers_through_the_model(slide, tiny_model_file, write_banked_model, tmp_path):
    """The bank's cells are the rows themselves: each looks itself up, and the gene comes back."""
    model = load_model(tiny_model_file, "cpu")
    x = vectors(slide, model, places()).astype(np.float32)
    values = np.column_stack([np.linspace(0, 4, ROWS), np.linspace(4, 0, ROWS)])
    folder = write_banked_model(
        tmp_path / "banked", tiny_model_file, x, ["T"] * ROWS, ("ACTB", "VIM"), values
    )
    banked = load_model(str(folder), "cpu")
    part = tissue(slide, np.full((ROWS, 3), 2.0))
    predictor = ModelPredictor(banked)
    assert predictor.genes(GENES) == GENES  # three of the read-out, ACTB of the bank alone
    (got,) = predictor.predict([part], [], ("ACTB", "ERBB2"), NOBODY)
    stored = x.astype(np.float16)
    known = banked.neighbours(stored)
    np.testing.assert_allclose(
        got[:, 0], banked.expression(stored, ["ACTB"], known)[:, 0], atol=0.05
    )
    np.testing.assert_allclose(got[:, 1], model.expression(stored, ["ERBB2"])[:, 0], atol=0.05)
    assert np.ptp(got[:, 0]) > 0.01

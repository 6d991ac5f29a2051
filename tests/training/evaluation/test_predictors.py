"""Predictors: each against a loop over single rows and nuclei."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_past.errors import PastError
from napari_past.model import Model, load_model
from napari_past.types import PixelGrid
from napari_past.validation.model_predictor import model_symbols
from past_training.evaluation.baselines import baselines
from past_training.evaluation.colour import (
    ColourStatistics,
    colour_statistics,
    fixed_stains,
)
from past_training.evaluation.predictors import (
    ModelFile,
    RidgeOn,
    TrainingMean,
    file_for,
)
from past_training.evaluation.rows import SectionRows, TrainingSet, section_rows
from past_training.evaluation.towers import ModelTower, random_model


def training(dataset, *names: str, limit: int = 30) -> TrainingSet:
    part = dataset.select(sections=names)
    return TrainingSet(part, tuple(section_rows(part, name, limit) for name in names))


@pytest.fixture(scope="module")
def tiny(tiny_model_file) -> Model:
    return load_model(tiny_model_file, "cpu")


@pytest.mark.parametrize("which", ["dataset", "regions"])
def test_model_file_is_the_mean_over_a_rows_nuclei(which, request, tiny):
    """One nucleus after the other, from the arrays on disk."""
    dataset = request.getfixturevalue(which)
    train = training(dataset, "S1", limit=6)
    fitted = ModelFile([tiny]).fit(train, ["ERBB2", "N0001", "EPCAM"])
    assert fitted.genes == ("ERBB2", "EPCAM")
    predicted = fitted.predict(train.rows[0])
    section, grid = dataset.section("S1"), PixelGrid(0, 0, 0.5)
    owner, starts = section.nuclei_row[:], section.nuclei_start[:]
    assert predicted.shape == (6, 2)
    for k, row in enumerate(train.rows[0].rows):
        values = []
        for nucleus in np.flatnonzero(owner == row):
            patch = section.patches[int(np.searchsorted(starts, nucleus, side="right")) - 1]
            centre_um = grid.to_um(section.nuclei_yx[nucleus][None])
            vector = tiny.encode_tile(np.asarray(patch), grid, centre_um)
            values.append(tiny.expression(vector, ["ERBB2", "EPCAM"])[0])
        np.testing.assert_allclose(predicted[k], np.mean(values, axis=0), atol=2e-3)


def test_renamed_genes_are_found(tiny):
    """HN1 is JPT1 now; a name that both have is never taken for another."""
    genes = ("ERBB2", "HN1", "CD3D", "CD3E", "CD3G", "NOBODY")
    model = Model(tiny.card.model_copy(update={"genes": genes}), tiny._tensors, "", "", "cpu")
    assert model_symbols(model.card.genes, ["JPT1", "CD3D", "HER2X", "ERBB2"]) == {
        "ERBB2": "ERBB2", "CD3D": "CD3D", "JPT1": "HN1",
    }  # fmt: skip
    assert model_symbols(model.card.genes, ["JPT1", "HN1"]) == {"HN1": "HN1"}


def test_a_dataset_that_the_model_cannot_read(tmp_path, drawn, draw, write, tiny):
    wrong = write(tmp_path / "mpp.past", drawn[:1], mpp=0.25)
    with pytest.raises(PastError, match=r"prepare it again with --dataset-mpp 0\.5"):
        ModelTower(tiny, "t").embed(section_rows(wrong, "S1"))
    small = write(tmp_path / "small.past", drawn[:1], patch_px=160)
    with pytest.raises(PastError, match=r"--patch-px \d{3} or more") as told:
        ModelTower(tiny, "t").embed(section_rows(small, "S1"))
    enough = int(str(told.value).split("--patch-px ")[1].split()[0])
    again = write(tmp_path / "enough.past", drawn[:1], patch_px=enough)
    assert ModelTower(tiny, "t").embed(section_rows(again, "S1")).shape[1] == 16


def test_crop_models_read_crops_of_single_cells(tmp_path, draw, write, write_tiny_model):
    """A patch as wide as the model's crop suffices, wherever in its pixel the cell lies."""
    spots = draw(tmp_path, "S5", 5)
    rng = np.random.default_rng(0)
    cells = replace(
        spots, spot_diameter_um=None, nuclei_um=None,
        centers_um=rng.uniform(30, 250, (30, 2)),
    )  # fmt: skip
    dataset = write(tmp_path / "cells.past", [cells], patch_px=48)
    encoder = {"mode": "crop", "stride_px": 1, "halo_px": 24, "crop_px": 48}
    model = load_model(write_tiny_model(tmp_path / "crop.safetensors", encoder=encoder), "cpu")
    rows = section_rows(dataset, "S5")
    vectors = ModelTower(model, "t").embed(rows)
    crops = dataset.section("S5").patches[:][rows.rows]
    expected = model.encode_image(crops)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors / length, expected, atol=2e-3)


def test_training_mean(dataset):
    train = training(dataset, "S1", "S2")
    fitted = TrainingMean().fit(train, ["EPCAM", "ERBB2"])
    both = np.concatenate([part.values(["EPCAM", "ERBB2"]) for part in train.rows])
    predicted = fitted.predict(section_rows(dataset, "S3", 7))
    assert predicted.shape == (7, 2)
    np.testing.assert_allclose(predicted, np.tile(both.mean(0), (7, 1)), rtol=1e-5)


def test_colour_statistics_of_the_rows(dataset):
    """Against the definition on whole arrays, as published figures were made."""
    rows = section_rows(dataset, "S1")
    patches = dataset.section("S1").patches[:][rows.rows]
    background = tuple(float(v) for v in dataset.section("S1").record.background)
    expected = colour_statistics(patches, 80, background, fixed_stains(background))
    assert expected.shape == (len(rows), 40)
    assert np.abs(expected - colour_statistics(patches, 80, background)).max() > 0.01
    np.testing.assert_array_equal(ColourStatistics(window_um=40.0).embed(rows), expected)


def test_colour_statistics_by_hand():
    """Half of each crop is glass, half has a density of 1 in every channel."""
    crops = np.full((2, 8, 8, 3), 250, np.uint8)
    crops[:, :4] = 25
    values = colour_statistics(crops, 8, (250.0, 250.0, 250.0))[0].reshape(10, 4)
    np.testing.assert_allclose(values[0, :3], 0.5, atol=1e-6)  # mean
    np.testing.assert_allclose(values[1, :3], 0.5, atol=1e-6)  # deviation
    np.testing.assert_allclose(values[[2, 9], :3], [[0] * 3, [1] * 3], atol=1e-6)


class Counted:
    """Features that are the spot's own place, and how often they were asked for."""

    name = "places"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, rows: SectionRows) -> np.ndarray:
        self.asked.append(rows.record.name)
        return rows.row_um.astype(np.float32)


def test_embeddings_are_computed_once_for_all_folds(dataset):
    embedder = Counted()
    ridge = RidgeOn(embedder)
    assert ridge.name == "ridge on places"
    train = training(dataset, "S1", "S2")
    first = ridge.fit(train, ["EPCAM"])
    ridge.fit(train, ["ERBB2"])
    predicted = first.predict(train.rows[1])
    assert embedder.asked == ["S1", "S2"]
    assert predicted.shape == (len(train.rows[1]), 1)


def test_random_tower_is_random_but_the_same(tiny, dataset):
    rows = section_rows(dataset, "S1", 5)
    one, same, other = (
        ModelTower(random_model(tiny.card, seed, "cpu"), "r").embed(rows) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-2
    assert np.abs(one - ModelTower(tiny, "t").embed(rows)).max() > 1e-2


def test_each_fold_takes_the_file_that_was_not_trained_on_it(dataset, tmp_path, write_tiny_model):
    """Files of a cross-validation, the final one and a foreign image in all of them."""
    prints = {r.name: r.fingerprint for r in dataset.sections}

    def file(name: str, without: str | None) -> ModelTower:
        seen = tuple(v for k, v in prints.items() if k != without)
        path = write_tiny_model(
            tmp_path / f"{name}.safetensors", training_fingerprints=("0" * 64, *seen)
        )
        return ModelTower(load_model(path, "cpu"), name)

    towers = [file("final", None), *(file(f"without {s}", s) for s in prints)]
    for held in prints:
        rest = [name for name in prints if name != held]
        assert file_for(towers, training(dataset, *rest)).name == f"without {held}"


def test_baselines_by_name(tiny):
    model = ModelFile([tiny])
    found, missing = baselines(["mean", "colour", "random", "tower"], tiny.card, model, "cpu")
    assert [p.name for p in found] == [
        "training mean",
        "ridge on 40 colour statistics",
        "ridge on a frozen random tower",
        "ridge on the frozen tower of tiny",
    ]
    assert not missing
    assert baselines(["tower"], tiny.card) == ([], [])
    with pytest.raises(PastError, match=r"no baseline 'colours'; choose among mean, colour"):
        baselines(["colours"], tiny.card)


def test_a_foundation_tower_without_weights_is_told(tiny):
    found, missing = baselines(["mean", "foundation:no_such_tower"], tiny.card)
    assert [p.name for p in found] == ["training mean"]
    assert missing[0].name == "no_such_tower"
    assert "no tower 'no_such_tower'" in missing[0].reason


def test_without_a_model():
    with pytest.raises(PastError, match="No model"):
        ModelFile([])

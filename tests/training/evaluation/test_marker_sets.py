"""Marker sets on drawn nuclei of known type."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import mannwhitneyu

from napari_past.errors import PastError
from napari_past.model import load_model
from napari_past.sample import Phantom, draw_phantom
from past_training.evaluation.marker_sets import (
    MarkerScore,
    auc,
    marker_check,
    read_tiles,
)
from past_training.evaluation.nuclear_features import nuclear_features

KINDS = {"epithelial": "epithelial", "lymphocyte": "inflammatory", "fibroblast": "fibroblast"}
SIDE = 400


@pytest.fixture(scope="module")
def phantoms() -> dict[int, Phantom]:
    return {seed: draw_phantom(SIDE, SIDE, 0.5, seed) for seed in (1, 2, 3)}


@pytest.fixture(scope="module")
def folder(phantoms, tmp_path_factory) -> Path:
    """Three tiles of 200 µm, their nuclei, and some of a type without markers."""
    out = tmp_path_factory.mktemp("tiles")
    for seed, phantom in phantoms.items():
        Image.fromarray(phantom.rgb).save(out / f"img{seed}.png")
        places = phantom.centers_um / 0.5 - 0.5
        points = {
            name: places[phantom.kinds == kind].round(1).tolist() for kind, name in KINDS.items()
        }
        (out / f"img{seed}.json").write_text(json.dumps(points | {"others": [[1, 1]]}))
    return out


@pytest.fixture(scope="module")
def tiles(folder):
    return read_tiles(folder)


def test_tiles_hold_the_nuclei_in_um(tiles, phantoms):
    phantom, tile = phantoms[2], tiles[1]
    assert tile.name == "img2"
    assert len(tile.kinds) == len(phantom.kinds)
    assert "others" not in tile.kinds
    epithelial = phantom.centers_um[phantom.kinds == "epithelial"]
    found = tile.centers_um[tile.kinds == "epithelial"]
    np.testing.assert_allclose(found, epithelial, atol=0.03)


def test_what_is_no_folder_of_tiles(tmp_path):
    with pytest.raises(PastError, match="holds no tiles"):
        read_tiles(tmp_path)
    (tmp_path / "a.json").write_text('{"epithelial": [[1, 2]]}')
    with pytest.raises(PastError, match=r"a\.json and a\.png are not a picture"):
        read_tiles(tmp_path)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text("[1, 2]")
    with pytest.raises(PastError, match="not a picture and its nuclei"):
        read_tiles(tmp_path)


def test_auc():
    rng = np.random.default_rng(0)
    values, positive = rng.integers(0, 9, 50).astype(float), rng.random(50) > 0.6
    u = mannwhitneyu(values[positive], values[~positive]).statistic
    assert auc(values, positive) == pytest.approx(u / (positive.sum() * (~positive).sum()))
    assert np.isnan(auc(values, np.ones(50, bool)))


def test_percentile_among_random_sets():
    score = MarkerScore("epithelial", ("EPCAM",), 9, 0.7, 0.6, 0.9, (0.5, 0.6, 0.7, 0.8))
    assert score.percentile == 62.5
    assert np.isnan(replace(score, random=()).percentile)


def test_nuclear_features_of_a_drawn_disc():
    """A disc of haematoxylin 8 µm across, and a centre where nothing is."""
    y, x = np.mgrid[0:160, 0:160]
    rgb = np.full((160, 160, 3), (235, 200, 225), np.uint8)
    rgb[np.hypot(y - 79.5, x - 59.5) < 8] = (95, 60, 140)
    features = nuclear_features(rgb, np.array([[30.0, 40.0], [70.0, 70.0]]), 0.5)
    area, eccentricity, solidity = features[0, :3]
    assert area == pytest.approx(np.pi * 64, rel=0.3)
    assert eccentricity < 0.5
    assert solidity > 0.9
    np.testing.assert_allclose(features[0, 7:10], (95, 60, 140), atol=45)
    assert features[0, 9] > features[0, 7] > features[0, 8]
    assert np.isnan(features[1, :7]).all()
    np.testing.assert_allclose(features[1, 7:10], (235, 200, 225), atol=2)
    assert np.isnan(nuclear_features(rgb, np.array([[500.0, 500.0]]), 0.5)).all()


def test_check_of_a_random_model(tiles, tiny_model_file):
    """Each figure again by hand; shape and colour tell drawn types apart, a random model hardly."""
    model = load_model(tiny_model_file, "cpu")
    expression = {gene: float(k) for k, gene in enumerate(model.genes)}
    check = marker_check(model, tiles, expression, n_random=20)
    assert check.tiles == 3
    assert [score.kind for score in check.scores] == ["epithelial", "inflammatory"]  # no COL1A1 …
    epithelial, inflammatory = check.scores
    assert epithelial.genes == ("EPCAM",)
    assert inflammatory.genes == ("CD3E",)
    kinds = np.concatenate([tile.kinds for tile in tiles])
    assert epithelial.nuclei == int((kinds == "epithelial").sum())
    assert epithelial.shape_and_colour > 0.9
    assert inflammatory.shape_and_colour > 0.8
    assert len(epithelial.random) == 20
    assert len(set(epithelial.random)) <= 4  # of the four genes that are no markers
    assert 0 <= epithelial.percentile <= 100
    assert 0.2 < epithelial.auc < 0.8 or epithelial.auc not in (0, 1)


def test_without_measured_expression_there_are_no_random_sets(tiles, tiny_model_file):
    model = load_model(tiny_model_file, "cpu")
    single = marker_check(model, tiles[:1], {})
    assert all(score.random == () for score in single.scores)
    assert all(np.isnan(score.shape_and_colour) for score in single.scores)
    assert all(np.isfinite(score.auc) for score in single.scores)

"""Towers on patches: what they give, and what is told where they cannot be had."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
import timm
import torch

from napari_past.errors import BadModel, PastError, UnknownModel
from napari_past.model import load_model
from napari_past.types import PixelGrid
from past_training.benchmark.cell_means import CellMeans, centres_um, fitted_detector
from past_training.benchmark.tower_names import tower_maker
from past_training.benchmark.whole_patch import resnet50, sized
from past_training.engine.frozen_tower import frozen_tower
from past_training.engine.hub import TowerUnavailable

MPP, SIDE_PX = 0.5, 64


@pytest.fixture(scope="module")
def model():
    return load_model("past-mini", "cpu")


def test_cells_see_the_patch_mirrored_at_its_borders(model, two_patches):
    """In a slide made of the patch and its mirror images the same cells have the same vectors."""
    patch = two_patches.some(np.array([0]))[0]
    detector = fitted_detector(two_patches, MPP)
    centers_um = centres_um(patch, MPP, detector)
    assert len(centers_um) > 1
    pair = np.concatenate([patch, patch[:, ::-1]], axis=1)
    slide = np.tile(np.concatenate([pair, pair[::-1]]), (6, 6, 1))
    rgb = sized(slide[None], slide.shape[0] // 2)[0]
    corner_um = 6 * SIDE_PX * MPP
    genes = ("EPCAM", "ACTB")
    vectors = model.encode_tile(rgb, PixelGrid(0, 0, 1.0), centers_um + corner_um)
    found = CellMeans("past-mini", model, SIDE_PX, MPP).embed(two_patches, genes)
    np.testing.assert_allclose(found.vectors[0], vectors.astype(np.float32).mean(0), atol=2e-2)
    np.testing.assert_allclose(
        found.own[0], model.expression(vectors, genes).mean(0), atol=2e-2
    )  # fmt: skip


def test_own_genes_are_those_of_the_readout(model):
    tower = CellMeans("past-mini", model, SIDE_PX, MPP)
    assert tower.own_genes(("EPCAM", "NOBODY", "ACTB")) == ("EPCAM", "ACTB")
    assert tower.about.fingerprints == set(model.card.training_fingerprints)
    assert "her2st, patient C" in tower.about.trained_on


def test_without_a_nucleus_places_on_a_grid_are_taken(two_patches):
    blank = np.full((224, 224, 3), 240, np.uint8)
    found = centres_um(blank, MPP, fitted_detector(two_patches, MPP))
    assert len(found) == 49
    assert sorted(set(found[:, 0])) == [8, 24, 40, 56, 72, 88, 104]


def test_resnet50_is_the_mean_of_the_map_of_its_third_stage(two_patches, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        whole = timm.create_model("resnet50", num_classes=0).eval()
    state = {k: v for k, v in whole.state_dict().items() if not k.startswith("layer4")}
    torch.save(state, tmp_path / "resnet50.pth")
    tower = resnet50("cpu", tmp_path / "resnet50.pth")
    found = tower.embed(two_patches, ()).vectors
    patches = sized(two_patches.some(np.array([0, 1])), 224)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(patches) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        x = whole.maxpool(whole.act1(whole.bn1(whole.conv1(x))))
        expected = whole.layer3(whole.layer2(whole.layer1(x))).mean((2, 3)).numpy()
    assert found.shape == (2, 1024)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert "resnet50.pth" in tower.about.what

    torch.save(dict(list(state.items())[5:]), tmp_path / "half.pth")
    with pytest.raises(BadModel, match=r"half\.pth does not hold .*conv1\.weight is missing"):
        resnet50("cpu", tmp_path / "half.pth")


def test_weights_that_are_none(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadModel, match=r"w\.safetensors holds no weights"):
        resnet50("cpu", tmp_path / "w.safetensors")
    with pytest.raises(PastError, match="There is no file"):
        resnet50("cpu", tmp_path / "none.pth")


def test_any_tower_of_timm_sees_the_patch_resized_to_its_crop(two_patches, recipe):
    name = "mobilenetv3_small_050.lamb_in1k"
    tower = tower_maker(name, recipe.data, "cpu", None, True)()
    found = tower.embed(two_patches, ()).vectors
    frozen = frozen_tower(name, 0.5, random=True)
    network = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    state = {k.removeprefix("backbone."): torch.tensor(v) for k, v in frozen.state.items()}
    network.load_state_dict(state)
    mean, std = (torch.tensor(v) for v in (frozen.encoder.mean, frozen.encoder.std))
    patches = sized(two_patches.some(np.array([0, 1])), frozen.encoder.crop_px)
    with torch.inference_mode():
        x = ((torch.from_numpy(patches) / 255 - mean) / std).permute(0, 3, 1, 2)
        np.testing.assert_allclose(found, network(x).numpy(), rtol=1e-3, atol=1e-4)
    assert "with weights drawn by lot" in tower.about.what


def test_lots_are_told_and_leave_those_of_others_alone():
    before = torch.get_rng_state()
    tower = resnet50("cpu", random=True)
    assert "drawn by lot (seed 20240229)" in tower.about.what
    assert tower.about.trained_on == "nothing: drawn by lot"
    assert torch.equal(torch.get_rng_state(), before)


def test_without_the_hub_what_to_do_is_told(recipe, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TowerUnavailable, match="--weights resnet50=FILE"):
        tower_maker("resnet50", recipe.data, "cpu", None, False)()
    with pytest.raises(TowerUnavailable, match="uni2-h"):
        tower_maker("uni2-h", recipe.data, "cpu", None, False)()


def test_a_published_tower_from_the_file_of_another(recipe, tmp_path):
    with pytest.raises(BadModel, match="which is not uni2-h"):
        tower_maker("uni2-h", recipe.data, "cpu", model_file(), False)()


def model_file():
    from napari_past.model import model_path

    return model_path("past-mini")


@pytest.mark.parametrize(
    ("name", "weights", "random", "told"),
    [
        ("past-mini", None, True, "brings its weights"),
        ("resnet50", "w.pth", True, "leave one of them out"),
    ],
)
def test_options_that_do_not_go_together(name, weights, random, told, recipe):
    with pytest.raises(PastError, match=told):
        tower_maker(name, recipe.data, "cpu", weights, random)


def test_past_where_its_weights_are_not(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_MODELS", str(tmp_path))
    with pytest.raises(UnknownModel, match="models fetch past"):
        tower_maker("past", recipe.data, "cpu", None, False)()


def test_patches_that_are_too_small_for_a_model(model):
    with pytest.raises(PastError, match="a patch of 4 µm is 4 px wide"):
        CellMeans("past-mini", model, 8, MPP)


def test_batches_that_break_off_are_told(two_patches, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["img"] = np.zeros((1, 8, 8, 3), np.uint8)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(PastError, match=r"x\.h5 cannot be read"):
        list(replace(two_patches, patches=path).batches())

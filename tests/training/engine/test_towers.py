"""Any tower of timm by its name; the others are explained."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from napari_past.model.pooled import timm_options
from past_training.engine.hub import (
    TowerUnavailable,
    brings_weights,
    explained,
    tower_source,
)
from past_training.engine.known_towers import KNOWN_TOWERS
from past_training.engine.towers import ImageTower, image_tower

# The hub's client has changed its HTTP library more than once.
http: Any = importlib.import_module(HTTPError.__module__.split(".")[0])
WHERE = torch.tensor([[0.0, 8.0, 8.0], [0.0, 20.0, 25.0], [1.0, 3.0, 3.0]])


def embedded(tower: ImageTower) -> torch.Tensor:
    tower.eval()
    generator = torch.Generator().manual_seed(0)
    image = 255 * torch.rand(2, 3, 32, 32, generator=generator)
    return tower(image, WHERE)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet"])
@pytest.mark.parametrize("pooled", [False, True], ids=["sampled", "pooled"])
def test_convolutions_and_transformers(name, pooled):
    """Transformers made for 160 px read 32 px; what can be trained is reached: DDP waits for it."""
    tower = image_tower(name, 32, pretrained=False, pooled=pooled, embed_dim=12)
    nuclei = embedded(tower)
    assert nuclei.shape == (3, tower.embed_dim)
    assert torch.equal(nuclei[0], nuclei[1]) == pooled
    assert not torch.equal(nuclei[0], nuclei[2])
    nuclei.square().sum().backward()
    trained = {n for n, p in tower.named_parameters() if p.requires_grad}
    assert trained == {n for n, p in tower.named_parameters() if p.grad is not None}
    assert len(trained) > 0.5 * len(list(tower.parameters()))


def test_sampled_towers_have_what_the_plugin_loads():
    tower = image_tower("mobilenetv4_conv_small", 64, pretrained=False, embed_dim=16)
    assert tower.body.strides == (8, 16)
    assert tower.body.head[-1].out_features == 16


def test_gradients_do_not_depend_on_recomputing():
    gradients = []
    for recompute in (False, True):
        torch.manual_seed(0)
        tower = image_tower("test_vit", 32, pretrained=False, pooled=True)
        if recompute:
            tower.checkpoint_gradients()
            assert tower.body.backbone.grad_checkpointing
        tower.train()
        tower(torch.ones(2, 3, 32, 32), WHERE).square().sum().backward()
        gradients.append([p.grad for p in tower.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_where_names_lead():
    assert tower_source("mobilenetv4_conv_small").timm_name == "mobilenetv4_conv_small"
    assert tower_source("UNI2-h").timm_name == "hf-hub:MahmoodLab/UNI2-h"
    by_hub = tower_source("hf_hub:MahmoodLab/UNI2-h")
    assert by_hub.options == timm_options(KNOWN_TOWERS["uni2-h"].options)
    assert tower_source("hf-hub:owner/own").options == {}


@pytest.mark.parametrize(
    ("name", "trained"),
    [("resnet18", False), ("resnet18.a1_in1k", True), ("virchow2", True), ("hf-hub:o/n", True)],
)
def test_names_that_bring_weights(name, trained):
    assert brings_weights(name) == trained


def test_unknown_name_suggests_others():
    with pytest.raises(TowerUnavailable, match="mobilenetv4_conv_small") as told:
        image_tower("mobilenetv4_conv_smal", 32, pretrained=False)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["phikon", "conch"])
def test_towers_that_were_not_published_for_timm(name):
    with pytest.raises(TowerUnavailable, match=f"past-train tower {name}"):
        image_tower(name, 224, pretrained=False)


def test_no_trained_weights():
    with pytest.raises(TowerUnavailable, match="no trained weights"):
        image_tower("test_vit4", 32, pretrained=True)


@pytest.mark.parametrize("name", ["uni2-h", "resnet18.a1_in1k"])
def test_offline(name, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TowerUnavailable, match="cannot be reached") as told:
        image_tower(name, 224, pretrained=True)
    assert "\n" not in str(told.value)


def answer(status: int) -> Any:
    request = http.Request("GET", "https://huggingface.co/MahmoodLab/UNI2-h")
    return http.Response(status, request=request)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GatedRepoError("403\nlong text", response=answer(403)), "hf auth login"),
        (RepositoryNotFoundError("404", response=answer(404)), "check the name"),
        (LocalEntryNotFoundError("none"), "cannot be reached"),
        (http.ConnectError("no route"), "cannot be reached"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_hub_errors_are_explained(error, said):
    outer = RuntimeError("timm wraps it")
    outer.__cause__ = error
    for one in (error, outer):
        told = explained(one, "uni2-h")
        assert told is not None
        assert said in str(told)
        assert "\n" not in str(told)
    if isinstance(error, GatedRepoError):
        assert "https://huggingface.co/MahmoodLab/UNI2-h" in str(explained(error, "uni2-h"))


def test_mistakes_of_ours_stay_what_they_are():
    assert explained(KeyError("x"), "resnet18") is None

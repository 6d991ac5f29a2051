"""Low-rank additions that can be taken away, and towers that stay as they are."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from napari_past.errors import PastError
from napari_past.model.card import TowerCard
from napari_past.model.tower import DenseTower
from past_training.engine.adapt import freeze, merged, training_mode, with_lora

IMAGE = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TOWERS = ["test_resnet", "test_vit", "test_efficientnet"]


def tower(name: str) -> nn.Module:
    torch.manual_seed(0)
    options = {"img_size": 32} if name == "test_vit" else {}
    return timm.create_model(name, num_classes=0, **options).eval()


def moved(module: nn.Module) -> None:
    """One step of what can be trained."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.5)
    (module(IMAGE) - 1).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("name", TOWERS)
def test_additions_start_at_nothing_and_merge(name):
    plain = tower(name)
    names = list(plain.state_dict())
    before = {k: v.clone() for k, v in plain.state_dict().items()}
    expected = plain(IMAGE).detach()
    adapted = with_lora(plain, rank=2)
    torch.testing.assert_close(adapted(IMAGE).detach(), expected)
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert 0 < trained < 0.5 * sum(v.numel() for v in before.values())
    for _ in range(2):  # the first step moves one of the two factors alone
        moved(adapted)
    learnt = adapted.eval()(IMAGE).detach()
    assert float((learnt - expected).abs().max()) > 1e-3 * float(expected.abs().max())
    whole = merged(adapted)
    assert list(whole.state_dict()) == names
    torch.testing.assert_close(whole.eval()(IMAGE).detach(), learnt, rtol=1e-4, atol=1e-6)
    changed = {k for k, v in whole.state_dict().items() if not torch.equal(v, before[k])}
    kinds = {type(whole.get_submodule(k.rpartition(".")[0])) for k in changed}
    assert changed
    assert all(issubclass(kind, nn.Linear | nn.Conv2d) for kind in kinds)


def test_the_plugins_tower():
    """Called with an image and places, as the tower itself."""
    card = TowerCard(backbone="test_resnet", stages=(0, 1), embed_dim=8)
    plain = DenseTower(card).eval()
    where = torch.tensor([[0.0, 3.0, 4.0]])
    expected = plain(IMAGE, where).detach()
    names = list(plain.state_dict())
    adapted = with_lora(plain)
    torch.testing.assert_close(adapted(IMAGE, where).detach(), expected)
    assert list(merged(adapted).state_dict()) == names


def test_frozen_towers_do_not_drift():
    """Running statistics of a frozen tower would follow the batches of the fine-tuning."""
    model = nn.ModuleDict({"tower": tower("test_resnet"), "head": nn.Linear(4, 1)})
    freeze(model["tower"])
    training_mode(model)
    before = {k: v.clone() for k, v in model["tower"].state_dict().items()}
    model["tower"](IMAGE)
    for key, value in model["tower"].state_dict().items():
        assert torch.equal(value, before[key]), key
    assert model["head"].training
    assert [p.requires_grad for p in model["head"].parameters()] == [True, True]


def test_trained_towers_keep_their_statistics_up():
    model = tower("test_resnet")
    training_mode(model)
    before = model.bn1.running_mean.clone()
    model(IMAGE)
    assert not torch.equal(model.bn1.running_mean, before)


def test_mistakes():
    with pytest.raises(PastError, match="at least 1, but got 0"):
        with_lora(tower("test_vit"), rank=0)
    with pytest.raises(PastError, match="no linear or convolutional layer"):
        with_lora(nn.LayerNorm(3))

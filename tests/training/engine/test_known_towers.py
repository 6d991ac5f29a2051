"""Published towers have the shapes that their authors tell of; their weights find their places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_past.model.card import PooledTowerCard
from napari_past.model.pooled import pooled_tower
from past_training.engine.frozen_tower import frozen_tower
from past_training.engine.hub import TowerUnavailable
from past_training.engine.known_towers import KNOWN_TOWERS, KnownTower, known_tower
from past_training.engine.published_weights import tower_state

EACH = pytest.mark.parametrize("name", KNOWN_TOWERS)
MILLIONS = {
    # As the model cards and papers say, or the size of the published file in single precision.
    "uni": 303, "uni2-h": 681, "virchow": 631, "virchow2": 631, "h-optimus-0": 4540 / 4,
    "h-optimus-1": 4540 / 4, "prov-gigapath": 1135, "conch": 86, "phikon": 86,
    "phikon-v2": 1210 / 4,
}  # fmt: skip
NUMBERS = {
    "uni": 1024, "uni2-h": 1536, "virchow": 2560, "virchow2": 2560, "h-optimus-0": 1536,
    "h-optimus-1": 1536, "prov-gigapath": 1536, "conch": 512, "phikon": 768, "phikon-v2": 1024,
}  # fmt: skip


def card_of(known: KnownTower) -> PooledTowerCard:
    return PooledTowerCard(
        backbone=known.backbone, options=known.options, pool=known.pool, embed_dim=known.embed_dim
    )


@EACH
def test_shapes_are_the_published_ones(name):
    """Without memory for the weights, and without a look at them."""
    known = KNOWN_TOWERS[name]
    with torch.device("meta"):
        tower = pooled_tower(card_of(known))
        given = tower(torch.zeros(2, 3, known.crop_px, known.crop_px), torch.zeros(3, 3))
    assert given.shape == (3, NUMBERS[name])
    millions = sum(p.numel() for p in tower.backbone.parameters()) / 1e6
    assert millions == pytest.approx(MILLIONS[name], rel=0.01)


@EACH
def test_every_one_is_well_told(name):
    known = KNOWN_TOWERS[name]
    assert known_tower(name.upper()) is known
    assert known_tower(f"hf-hub:{known.repository}") is known
    assert known.page == f"https://huggingface.co/{known.repository}"
    assert known.licence
    assert known.attribution
    assert 0.25 <= known.mpp <= 1
    mean, std = known.normalisation
    assert all(0 < value < 1 for value in (*mean, *std))
    assert timm.is_model(known.backbone)


def test_other_names_are_not_known():
    for name in ("resnet18", "hf-hub:someone/UNI", "local-dir:MahmoodLab/UNI"):
        assert known_tower(name) is None


def shrunk(layout: str, **options: int) -> PooledTowerCard:
    """A tower of few layers whose published weights would be named as `layout` has it."""
    dim = 8 if layout == "conch" else options["embed_dim"]
    pool = "attention" if layout == "conch" else "token"
    return PooledTowerCard(
        backbone="vit_base_patch16_224", options=options, pool=pool, embed_dim=dim
    )


def from_published(state: Mapping[str, Tensor], layout: str, card: PooledTowerCard) -> nn.Module:
    tower = pooled_tower(card)
    tower.load_state_dict(tower_state(state, layout, layout))
    return tower.eval()


def a_crop(side_px: int) -> Tensor:
    return torch.randn(2, 3, side_px, side_px, generator=torch.Generator().manual_seed(0))


def drawn(network: nn.Module) -> nn.Module:
    """Weights of a size that every part of the network shows in its output."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


@pytest.mark.parametrize("layout", ["vit", "dinov2"])
def test_transformers_weights_give_the_same_vectors(layout, tmp_path):
    """Phikon and Phikon-v2 are published for transformers, whose own network is the judge."""
    transformers = pytest.importorskip("transformers")
    sizes = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
        "patch_size": 16, "layer_norm_eps": 1e-6,
    }  # fmt: skip
    options = {"img_size": 32, "embed_dim": 16, "depth": 2, "num_heads": 2}
    if layout == "vit":
        config = transformers.ViTConfig(**sizes, intermediate_size=64)
        theirs = drawn(transformers.ViTModel(config, add_pooling_layer=True))
    else:
        config = transformers.Dinov2Config(**sizes, mlp_ratio=4)
        theirs = drawn(transformers.Dinov2Model(config))
        options |= {"init_values": 1}
    theirs.save_pretrained(tmp_path)
    published = load_file(tmp_path / "model.safetensors")
    assert "encoder.layer.1.attention.attention.query.weight" in published
    ours = from_published(published, layout, shrunk(layout, **options))
    crops = a_crop(32)
    with torch.inference_mode():
        expected = theirs(pixel_values=crops).last_hidden_state[:, 0]
        given = ours(crops, torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]))
    np.testing.assert_allclose(given, expected, atol=1e-5)
    assert expected.std() > 0.05


def conch_like() -> tuple[dict[str, Tensor], nn.Module, nn.ModuleDict]:
    """A checkpoint in CONCH's names, its trunk, and its pooler made of torch's own attention."""
    trunk = timm.create_model(
        "vit_base_patch16_224", img_size=32, embed_dim=16, depth=2, num_heads=2, num_classes=0
    )
    attention = nn.MultiheadAttention(8, 8, kdim=16, vdim=16, batch_first=True)
    pooler = nn.ModuleDict({"attn": attention, "ln_q": nn.LayerNorm(8), "ln_k": nn.LayerNorm(16)})
    drawn(trunk), drawn(pooler)
    pooler["norm"] = drawn(nn.LayerNorm(8))
    state = {f"visual.trunk.{k}": v for k, v in trunk.state_dict().items()}
    norm = {k: v for k, v in pooler.state_dict().items() if k.startswith("norm.")}
    rest = {k: v for k, v in pooler.state_dict().items() if k not in norm}
    state |= {f"visual.attn_pool_contrast.{k}": v for k, v in rest.items()}
    state |= {k.replace("norm", "visual.ln_contrast"): v for k, v in norm.items()}
    state["visual.attn_pool_contrast.query"] = torch.randn(1, 8)
    # What is not read: captions, text, the way to the text's space.
    state |= {name: torch.zeros(1) for name in ("logit_scale", "text.x", "visual.proj_contrast")}
    return state, trunk, pooler


def test_conch_gives_its_own_image_vector():
    """Of all tokens, in another order of operations: the query is learned and the same for all."""
    state, trunk, pooler = conch_like()
    card = shrunk("conch", img_size=32, embed_dim=16, depth=2, num_heads=2)
    ours = from_published(state, "conch", card)
    crops = a_crop(32)
    with torch.inference_mode():
        tokens = pooler["ln_k"](trunk.forward_features(crops))
        query = pooler["ln_q"](state["visual.attn_pool_contrast.query"]).expand(2, 1, -1)
        found, _ = pooler["attn"](query, tokens, tokens, need_weights=False)
        expected = pooler["norm"](found[:, 0])
        given = ours(crops, torch.tensor([[0.0, 0, 0], [1.0, 0, 0]]))
    np.testing.assert_allclose(given, expected, atol=1e-5)
    assert expected.std(0).max() > 1e-3


@pytest.mark.parametrize(
    ("layout", "change", "said"),
    [
        ("vit", {"encoder.layer.0.moe.weight": 1}, r"encoder\.layer\.0\.moe\.weight"),
        ("vit", {"colour": 1}, "colour"),
        ("vit", {"encoder.layer.0.attention.attention.key.weight": None}, "key.weight"),
        ("conch", {"visual.ln_contrast.bias": None}, r"visual\.ln_contrast\.bias"),
    ],
)
def test_weights_of_another_layout(layout, change, said):
    if layout == "conch":
        state = conch_like()[0]
    else:
        layer = "encoder.layer.0.attention.attention"
        state = {f"{layer}.{part}.weight": torch.zeros(2, 2) for part in ("query", "key", "value")}
    for key, value in change.items():
        state[key] = torch.zeros(1)
        if value is None:
            del state[key]
    with pytest.raises(TowerUnavailable, match=said) as told:
        tower_state(state, layout, "phikon")
    assert "\n" not in str(told.value)


def test_drawn_weights_are_the_same_every_time():
    a, b = (frozen_tower("test_vit", 0.5, random=True) for _ in range(2))
    assert a.state.keys() == b.state.keys()
    assert all(np.array_equal(a.state[key], b.state[key]) for key in a.state)
    assert (a.encoder.crop_px, a.encoder.halo_px, a.encoder.mode) == (160, 80, "crop")

"""Image towers that give one vector for a whole crop, in torch.

Shapes: B images, C = 3 channels, H x W pixels, N cells, T tokens, F numbers of a token,
D embedding, A attention heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import timm
import torch
from timm.layers.mlp import SwiGLUPacked
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from napari_past.model.card import Pool, PooledTowerCard

_MLP_LAYERS = {"SwiGLUPacked": SwiGLUPacked}
"""Layers that timm takes as objects alone, by the names that cards give them."""
_ATTENTION_HEADS = 8


class AttentionPool(nn.Module):
    """What one learned query finds among the tokens of a crop, as CONCH has it."""

    def __init__(self, token_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(embed_dim))
        self.enter = nn.LayerNorm(token_dim)
        self.key = nn.Linear(token_dim, embed_dim)
        self.value = nn.Linear(token_dim, embed_dim)
        self.out = nn.Linear(embed_dim, embed_dim)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, tokens_BTF: Tensor) -> Tensor:
        """One vector for each image, (B, D)."""
        entered_BTF = self.enter(tokens_BTF)
        key_BATI, value_BATI = (
            part(entered_BTF).unflatten(-1, (_ATTENTION_HEADS, -1)).transpose(1, 2)
            for part in (self.key, self.value)
        )
        query_BA1I = self.query.unflatten(0, (_ATTENTION_HEADS, 1, -1)).expand(
            len(tokens_BTF), -1, -1, -1
        )
        found_BD = scaled_dot_product_attention(query_BA1I, key_BATI, value_BATI).flatten(1)
        result: Tensor = self.norm(self.out(found_BD))
        return result


class PooledTower(nn.Module):
    """One vector for a whole patch, as PAST has it; every nucleus of the patch shares it."""

    def __init__(self, backbone: nn.Module, pool: AttentionPool | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = pool

    def forward(self, image_BCHW: Tensor, where_N3: Tensor) -> Tensor:
        """Embeddings (N, D) of cells at `where_N3` = (image, y px, x px)."""
        pooled: Tensor = self.backbone(image_BCHW)
        if self.pool is not None:
            pooled = self.pool(pooled)
        elif pooled.ndim == 3:
            # Towers that give their tokens (Virchow): the class token beside the patches' mean.
            prefix = int(getattr(self.backbone, "num_prefix_tokens", 1))
            pooled = torch.cat([pooled[:, 0], pooled[:, prefix:].mean(1)], dim=1)
        return pooled[where_N3[:, 0].long()]


def timm_options(options: Mapping[str, bool | int | float | str]) -> dict[str, Any]:
    """What a card's options are to timm.

    Raises
    ------
    ValueError
        timm takes a layer as an object, and none is known by this name.
    """
    result: dict[str, Any] = dict(options)
    if "mlp_layer" in result:
        name = result["mlp_layer"]
        if name not in _MLP_LAYERS:
            raise ValueError(f"mlp_layer {name!r} is none of {', '.join(_MLP_LAYERS)}")
        result["mlp_layer"] = _MLP_LAYERS[name]
    return result


def pooled_tower(card: PooledTowerCard) -> PooledTower:
    """The tower that a card describes, with fresh weights.

    Raises
    ------
    RuntimeError, TypeError, ValueError, AssertionError
        timm has no such backbone, or not with these options.
    """
    options = timm_options(card.options)
    if card.pool != "token":
        options["global_pool"] = ""
    backbone: Any = timm.create_model(card.backbone, pretrained=False, num_classes=0, **options)
    if card.pool == "attention":
        if card.embed_dim % _ATTENTION_HEADS:
            raise ValueError(f"embed_dim {card.embed_dim} is no multiple of {_ATTENTION_HEADS}")
        return PooledTower(backbone, AttentionPool(int(backbone.num_features), card.embed_dim))
    dim = pooled_dim(backbone, card.pool)
    if dim != card.embed_dim:
        raise ValueError(f"it gives {dim} numbers where the card says {card.embed_dim}")
    return PooledTower(backbone)


def pooled_dim(backbone: nn.Module, pool: Pool) -> int:
    """Numbers of the vector that a backbone of timm gives for a crop; none is learned on top."""
    features = int(cast(Any, backbone).num_features)
    if pool == "token+mean":
        return 2 * features
    # Some convolutional towers widen what they give behind their last stage.
    return int(getattr(backbone, "head_hidden_size", features))

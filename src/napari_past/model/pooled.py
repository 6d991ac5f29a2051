"""Image towers that give one vector for a whole crop, in torch.

Shapes: B images, C = 3 channels, H x W pixels, N cells, D embedding.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.layers.mlp import SwiGLUPacked
from torch import Tensor, nn

from napari_past.model.card import PooledTowerCard

_MLP_LAYERS = {"SwiGLUPacked": SwiGLUPacked}
"""Layers that timm takes as objects alone, by the names that cards give them."""


class PooledTower(nn.Module):
    """One vector for a whole patch, as PAST has it; every nucleus of the patch shares it."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image_BCHW: Tensor, where_N3: Tensor) -> Tensor:
        """Embeddings (N, D) of cells at `where_N3` = (image, y px, x px)."""
        pooled: Tensor = self.backbone(image_BCHW)
        if pooled.ndim == 3:
            # Towers that give their tokens (Virchow): the class token beside the patches' mean.
            prefix = int(getattr(self.backbone, "num_prefix_tokens", 1))
            pooled = torch.cat([pooled[:, 0], pooled[:, prefix:].mean(1)], dim=1)
        return pooled[where_N3[:, 0].long()]


def pooled_tower(card: PooledTowerCard) -> PooledTower:
    """The tower that a card describes, with fresh weights.

    Raises
    ------
    RuntimeError, TypeError, ValueError, AssertionError
        timm has no such backbone, or not with these options.
    """
    options: dict[str, Any] = dict(card.options)
    if "mlp_layer" in options:
        name = options["mlp_layer"]
        if name not in _MLP_LAYERS:
            raise ValueError(f"mlp_layer {name!r} is none of {', '.join(_MLP_LAYERS)}")
        options["mlp_layer"] = _MLP_LAYERS[name]
    tokens = card.pool == "token+mean"
    if tokens:
        options["global_pool"] = ""
    backbone: Any = timm.create_model(card.backbone, pretrained=False, num_classes=0, **options)
    dim = int(backbone.num_features) * (2 if tokens else 1)
    if dim != card.embed_dim:
        raise ValueError(f"it gives {dim} numbers where the card says {card.embed_dim}")
    return PooledTower(backbone)

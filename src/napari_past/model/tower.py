"""The dense image tower in torch.

Shapes: B images, C = 3 channels, H x W pixels, N cells, F features, D embedding.
Imported by the first call that encodes pixels, since torch takes seconds to load.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

from napari_past.model.card import TowerCard


class DenseTower(nn.Module):
    """Features of a timm backbone, sampled at the nuclei, then a small head.

    A cell's embedding depends on the pixels within the backbone's receptive field alone: there is
    no pooling over the tile, and normalisation layers use stored statistics in evaluation.
    """

    def __init__(self, card: TowerCard) -> None:
        super().__init__()
        self.backbone = timm.create_model(
            card.backbone, pretrained=False, features_only=True, out_indices=card.stages
        )
        info: Any = self.backbone.feature_info
        self.strides: tuple[int, ...] = tuple(info.reduction())
        n_features = sum(info.channels())
        self.head = nn.Sequential(
            nn.LayerNorm(n_features),
            nn.Linear(n_features, card.embed_dim),
            nn.GELU(),
            nn.Linear(card.embed_dim, card.embed_dim),
        )

    def forward(self, image_BCHW: Tensor, where_N3: Tensor) -> Tensor:
        """Embeddings (N, D) of cells at `where_N3` = (image, y px, x px), centres at integers."""
        features_NF = torch.cat(
            [
                sampled(map_BFHW, where_N3, stride)
                for map_BFHW, stride in zip(self.backbone(image_BCHW), self.strides, strict=True)
            ],
            dim=1,
        )
        result: Tensor = self.head(features_NF)
        return result


def sampled(map_BFHW: Tensor, where_N3: Tensor, stride: int) -> Tensor:
    """Bilinear samples (N, F) of a feature map whose cell k is centred on pixel k·stride.

    Positions may be float64: in a large block single precision would move them by 1e-4 px.
    """
    height, width = map_BFHW.shape[-2:]
    image_N = where_N3[:, 0].long()
    y_N = (where_N3[:, 1] / stride).clamp(0, height - 1)
    x_N = (where_N3[:, 2] / stride).clamp(0, width - 1)
    y0_N, x0_N = y_N.floor().long(), x_N.floor().long()
    y1_N, x1_N = (y0_N + 1).clamp(max=height - 1), (x0_N + 1).clamp(max=width - 1)
    wy_N1 = (y_N - y0_N)[:, None].to(map_BFHW.dtype)
    wx_N1 = (x_N - x0_N)[:, None].to(map_BFHW.dtype)
    map_BHWF = map_BFHW.permute(0, 2, 3, 1)
    top_NF = map_BHWF[image_N, y0_N, x0_N] * (1 - wx_N1) + map_BHWF[image_N, y0_N, x1_N] * wx_N1
    low_NF = map_BHWF[image_N, y1_N, x0_N] * (1 - wx_N1) + map_BHWF[image_N, y1_N, x1_N] * wx_N1
    return top_NF * (1 - wy_N1) + low_NF * wy_N1

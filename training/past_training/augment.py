"""Augmentation of spot crops: orientation, and the stainer and scanner the model has not seen."""

from __future__ import annotations

import torch
from torch import Tensor


def oriented(
    image_BCHW: Tensor, where_N3: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """One of the eight orientations for the whole batch, positions (image, y, x) with it."""
    side = image_BCHW.shape[-1]
    orientation = int(torch.randint(0, 8, (1,), generator=generator))
    turn, flip = orientation % 4, orientation // 4
    image_BCHW = torch.rot90(image_BCHW, turn, (2, 3))
    b_N, y_N, x_N = where_N3.unbind(1)
    for _ in range(turn):  # rot90 takes (y, x) to (side − 1 − x, y)
        y_N, x_N = side - 1 - x_N, y_N
    if flip:
        image_BCHW, x_N = image_BCHW.flip(3), side - 1 - x_N
    return image_BCHW, torch.stack([b_N, y_N, x_N], dim=1)


def restained(image_BCHW: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random stain strength, hue and glass colour for each image of 0–255 floats.

    Works in optical density, as Tellez et al. 2019 (Med Image Anal 58:101544) found useful: density
    is mixed between channels, scaled and offset.
    """
    n = image_BCHW.shape[0]
    od = -torch.log((image_BCHW + 1) / 256)
    mix = torch.eye(3) + strength * 0.5 * torch.randn(n, 3, 3, generator=generator)
    scale = torch.exp(strength * torch.randn(n, 3, 1, 1, generator=generator))
    offset = strength * 0.3 * torch.randn(n, 3, 1, 1, generator=generator)
    od = torch.einsum("bij,bjhw->bihw", mix, od) * scale + offset
    return (torch.exp(-od) * 256 - 1).clamp(0, 255)

"""Self-supervision on H&E alone: an embedding must tell what surrounds its nucleus.

Expression of few spots fills few directions of an embedding. Numbers of colour and texture, which
the picture itself gives for every nucleus, fill the others, and a linear read-out can use them.

Shapes: B patches of H x W pixels, N nuclei, T textures.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, mse_loss

from napari_past.model.tower import sampled
from napari_past.optical_density import RUIFROK_EOSIN, RUIFROK_HEMATOXYLIN

_UNMIXING_KC = torch.linalg.pinv(torch.tensor([RUIFROK_HEMATOXYLIN, RUIFROK_EOSIN])).T
"""From optical densities to amounts of haematoxylin and eosin."""

DENSITIES = (0.1, 0.25, 0.45, 0.7, 1.0, 1.4)
"""Optical densities above which a pixel counts, softly."""
SOFTNESS = 0.08
SQUARE_PX = 8
"""Textures are means over squares of this side…"""
WINDOWS = (1, 5, 11, 21)
"""… and over so many such squares to a side, around the nucleus."""
SCALES = 3
"""Of detail: 2, 4 and 8 px. Finer detail is the scanner's rather than the tissue's."""
_FINEST_PX = 2
CHANNELS = 5
"""Red, green, blue, haematoxylin, eosin."""
TEXTURES = CHANNELS * (1 + len(DENSITIES) + 2 * SCALES) * len(WINDOWS)


@torch.no_grad()
def texture(image_BCHW: Tensor, where_N3: Tensor) -> Tensor:
    """Colour and texture around nuclei, float32 (N, TEXTURES).

    For the optical densities of red, green and blue and for the amounts of haematoxylin and eosin
    (Ruifrok's vectors): the mean, the share of pixels above `DENSITIES`, and how much they rise and
    how much they fall against their surroundings at `SCALES`, each over windows of 8, 40, 88 and
    168 px.

    Parameters
    ----------
    image_BCHW
        0–255 floats, at least 8 px to a side.
    where_N3
        (patch, y px, x px) of each nucleus, pixel centres at integers.
    """
    height, width = (side // SQUARE_PX * SQUARE_PX for side in image_BCHW.shape[-2:])
    density = -torch.log((image_BCHW[..., :height, :width].float() + 1) / 256)
    density = avg_pool2d(density, _FINEST_PX)
    amounts = torch.einsum("kc,bchw->bkhw", _UNMIXING_KC.to(density), density)
    density = torch.cat([density, amounts], dim=1)
    side = SQUARE_PX // _FINEST_PX
    maps = [avg_pool2d(density, side)]
    maps += [avg_pool2d(torch.sigmoid((density - d) / SOFTNESS), side) for d in DENSITIES]
    for scale in range(SCALES):
        around = avg_pool2d(density, 3, stride=1, padding=1, count_include_pad=False)
        side = SQUARE_PX // _FINEST_PX // 2**scale
        detail = density - around
        maps += [avg_pool2d(detail.clamp(min=0), side), avg_pool2d((-detail).clamp(min=0), side)]
        if side > 1:
            density = avg_pool2d(density, 2)
    map_BFHW = torch.cat(maps, dim=1)
    # Squares begin at pixel 0, so the centre of the first lies at half a square less half a pixel.
    where_N3 = torch.cat([where_N3[:, :1], where_N3[:, 1:] - (SQUARE_PX - 1) / 2], dim=1)
    parts = [
        sampled(
            avg_pool2d(map_BFHW, side, stride=1, padding=side // 2, count_include_pad=False),
            where_N3,
            SQUARE_PX,
        )
        for side in WINDOWS
    ]
    return torch.cat(parts, dim=1)


def texture_loss(described_NT: Tensor, texture_NT: Tensor) -> Tensor:
    """Mean squared error of textures in deviations over the batch's nuclei, a scalar.

    1 is what the mean alone would reach.
    """
    deviation_T, mean_T = torch.std_mean(texture_NT, dim=0, correction=0)
    return mse_loss(described_NT.float(), (texture_NT - mean_T) / (deviation_T + 1e-4))

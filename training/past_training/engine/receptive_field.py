"""How far a tower sees around a nucleus, found by asking which pixels can change an embedding."""

from __future__ import annotations

import copy

import torch

from napari_past.errors import PastError
from napari_past.model.tower import DenseTower

_PROBES_PX = (256, 512, 1024)
"""Sides of the pictures that are tried, until the field ends within one."""
# A unit that is off for one picture hides what lies behind it.
_PICTURES = 4
_SEED = 20240229


class SeesAll(PastError):
    """A tower whose view has no end within the largest probe."""


def receptive_radius_px(body: DenseTower, largest_px: int = _PROBES_PX[-1]) -> int:
    """Distance in px from a feature's place to the farthest pixel that it depends on.

    The worse of the four sides, of all stages that are sampled. Pixels count whose gradient is not
    zero, in evaluation mode, at the centre of a feature cell: whoever samples between two cells
    sees up to one cell more.

    Parameters
    ----------
    body
        With the weights that count: a branch that adds nothing sees nothing. It is not changed.
    largest_px
        Side of the widest picture to try, of 256, 512 and 1024.

    Raises
    ------
    SeesAll
        The field reaches the border of the largest probe, as with attention or pooling over the
        whole picture, or the tower reads pictures of one size alone.
    """
    # A far pixel acts through many small weights, whose product is zero in single precision.
    tower = copy.deepcopy(body).double().eval()
    for side_px in (side for side in _PROBES_PX if side <= largest_px):
        try:
            radius_px = _radius_within(tower, side_px)
        except (AssertionError, ValueError) as exc:
            raise SeesAll(
                f"The image tower cannot read pictures of {side_px} px ({exc}), and a model reads "
                f"tiles of any size; train a convolutional tower such as mobilenetv4_conv_small."
            ) from exc
        if radius_px is not None:
            return radius_px
    raise SeesAll(
        f"The image tower sees the whole patch (over {largest_px // 2} px around a nucleus), "
        f"so that a cell would change with the tile that it is read in; train a convolutional "
        f"tower without attention or pooling over the picture, such as mobilenetv4_conv_small."
    )


def halo_px(body: DenseTower, largest_px: int = _PROBES_PX[-1]) -> int:
    """Pixels that a model with this tower must see around a nucleus, a multiple of its stride.

    Parameters are those of `receptive_radius_px`.

    Raises
    ------
    SeesAll
        The field does not end within the widest picture.
    """
    stride_px = max(body.strides)
    # Between two feature cells a sample reads both.
    reach_px = receptive_radius_px(body, largest_px) + stride_px
    return -(-reach_px // stride_px) * stride_px


def _radius_within(tower: DenseTower, side_px: int) -> int | None:
    """The radius, or None where the field reaches the border of a probe of this side."""
    generator = torch.Generator().manual_seed(_SEED)
    # The middle is a multiple of every stride, so that each stage is sampled in one cell alone.
    at_px = side_px // 2
    where_13 = torch.tensor([[0, at_px, at_px]], dtype=torch.float64)
    radius_px = 0
    for _ in range(_PICTURES):
        image = torch.randn(1, 3, side_px, side_px, generator=generator, dtype=torch.float64)
        image.requires_grad_(True)
        embedding_1E = tower(image, where_13)
        # A random direction: no two outputs cancel, and one pass stands for all of them.
        direction_1E = torch.randn(embedding_1E.shape, generator=generator, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((embedding_1E * direction_1E).sum(), image)
        touched = gradient[0].abs().sum(0).nonzero()
        if not len(touched):
            continue
        if int(touched.min()) == 0 or int(touched.max()) == side_px - 1:
            return None
        radius_px = max(radius_px, int((touched - at_px).abs().max()))
    return radius_px

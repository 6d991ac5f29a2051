"""What a model reads of a batch: pixels, places, profiles, on its device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from past_training.augment import oriented, restained

if TYPE_CHECKING:
    from past_training.dataset.batches import Batch


class Inputs:
    """A batch as a model reads it.

    Shapes: B patches of H x W pixels, N nuclei, R rows, K neighbours, G genes.

    No dataclass and no tuple, so that Fabric hands it on as it is: it would turn every float in
    those into half precision, where a nucleus at 300 px can only lie at even pixels.
    """

    def __init__(
        self,
        image_BCHW: Tensor,
        where_N3: Tensor,
        batch: Batch,
        neighbour_RK: Tensor | None,
        second: tuple[Tensor, Tensor] | None,
    ) -> None:
        self.image_BCHW = image_BCHW
        """0–255 floats."""
        self.where_N3 = where_N3
        """float32 (patch in the batch, y px, x px), pixel centres at integers."""
        self.batch = batch
        """Rows and their profiles; without its pixels."""
        self.neighbour_RK = neighbour_RK
        """int64, rows of this batch that are neighbours of each row; −1 fills the list."""
        self.second = second
        """Image and places of another augmented view of the same nuclei."""

    @property
    def n_rows(self) -> int:
        return len(self.batch.total)


def inputs_of(
    batch: Batch,
    device: torch.device,
    *,
    stain_jitter: float | None,
    two_views: bool,
    generator: torch.Generator,
) -> Inputs:
    """A batch, augmented and moved to `device`.

    Parameters
    ----------
    stain_jitter
        Strength of the stain augmentation, with orientations drawn beside; None: as it was read.
    two_views
        Whether to make a second view, which is always augmented.
    generator
        Draws the augmentations; on the CPU.
    """
    image_BCHW = batch.patches.permute(0, 3, 1, 2).float()
    first, second = (image_BCHW, batch.where), None
    if stain_jitter is not None:
        first = _view(image_BCHW, batch.where, stain_jitter, generator)
    if two_views:
        image, where = _view(image_BCHW, batch.where, stain_jitter or 0.0, generator)
        second = (_placed(image, device), where.to(device))
    near = None
    if batch.neighbours is not None:
        near = places_in_batch(batch.neighbours, batch.row_index).to(device)
    # The pixels as they were read are not needed again: only the augmented ones travel.
    rows = replace(batch, patches=batch.patches[:0]).to(device, non_blocking=True)
    return Inputs(_placed(first[0], device), first[1].to(device), rows, near, second)


def places_in_batch(neighbours_RK: Tensor, row_R: Tensor) -> Tensor:
    """Places in the batch of the listed rows, int64 (R, K); −1 for those that are not in it.

    Parameters
    ----------
    neighbours_RK
        The dataset's numbers of each row's neighbours, −1 where there are fewer.
    row_R
        The dataset's number of each row of the batch.
    """
    sorted_R, order_R = row_R.sort()
    place_RK = torch.searchsorted(sorted_R, neighbours_RK).clamp(max=len(row_R) - 1)
    return torch.where(sorted_R[place_RK] == neighbours_RK, order_R[place_RK], -1)


def _view(
    image_BCHW: Tensor, where_N3: Tensor, stain_jitter: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    image_BCHW, where_N3 = oriented(image_BCHW, where_N3, generator)
    return restained(image_BCHW, stain_jitter, generator), where_N3


def _placed(image_BCHW: Tensor, device: torch.device) -> Tensor:
    return image_BCHW.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

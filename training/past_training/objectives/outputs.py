"""What a model in training gives to the objectives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Outputs(NamedTuple):
    """Everything that an objective may read; None where the model does not make it.

    A named tuple, not a dataclass: Fabric turns what leaves a model under mixed precision back into
    float32, and finds tensors in tuples alone.

    Shapes: R rows, N nuclei, D projected, E and F embedding sizes, G genes, P of the views,
    T textures.
    """

    image_RD: Tensor | None = None
    """Projection of what is seen of each row: the mean over its nuclei."""
    cell_RD: Tensor | None = None
    """Projection of what was measured in it."""
    image_pre_RE: Tensor | None = None
    cell_pre_RF: Tensor | None = None
    tau: Tensor | None = None
    rates_NG: Tensor | None = None
    """Rate of each nucleus in counts per 10k, at least 0."""
    log_dispersion_G: Tensor | None = None
    deviation_G: Tensor | None = None
    """Of log1p(counts per 10k) over the training rows."""
    view_a_NP: Tensor | None = None
    view_b_NP: Tensor | None = None
    """Two augmented views of the same nuclei."""
    described_NT: Tensor | None = None
    texture_NT: Tensor | None = None
    """What an embedding tells of its surroundings, and what they are."""
    trained_NE: Tensor | None = None
    frozen_NE: Tensor | None = None
    """Embeddings by the tower in training, and by the tower as it was."""

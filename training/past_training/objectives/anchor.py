"""Staying near a tower that was good already."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cosine_similarity


def anchor_loss(trained_ND: Tensor, frozen_ND: Tensor) -> Tensor:
    """Mean of 1 − cosine between embeddings and those of the frozen tower, a scalar in [0, 2].

    Keeps fine-tuning on few samples from forgetting what pretraining taught; only directions
    count, as in the read-outs of retrieval.

    Parameters
    ----------
    trained_ND
        Embeddings of N nuclei by the tower in training.
    frozen_ND
        Embeddings of the same nuclei by the tower as it was; no gradient flows into them.
    """
    return (1 - cosine_similarity(trained_ND, frozen_ND.detach(), dim=1)).mean()

"""Poolings that are one weighted mean: every instance the same weight, or as attention says."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from past_training.slide_level.networks.pooling import Chunks, Effect, Pooled, Pooling


class _Seen(NamedTuple):
    vector_E: Tensor
    log_total: Tensor
    """Logarithm of the sum of all exponentiated scores."""


class _Weighted(Pooling):
    """A softmax over scores weighs what a small network makes of each instance."""

    additive = True

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(dim, width)
        self.encoder = nn.Sequential(nn.Linear(dim, width), nn.GELU())

    @abstractmethod
    def scores(self, encoded: Tensor) -> Tensor:
        """(…,) of encoded instances (…, E)."""

    def forward(self, x_BMD: Tensor, mask_BM: Tensor) -> Pooled:
        """See `Pooling.forward`."""
        encoded_BME = self.encoder(x_BMD)
        scores_BM = self.scores(encoded_BME).masked_fill(~mask_BM, -torch.inf)
        weights_BM = torch.softmax(scores_BM, 1)
        return Pooled((weights_BM[:, None] @ encoded_BME)[:, 0], weights_BM)

    @torch.no_grad()
    def look(self, chunks: Chunks) -> tuple[Tensor, _Seen]:
        """By the online softmax: sums are rescaled where a larger score comes."""
        highest = torch.tensor(-torch.inf)
        total = torch.zeros((), dtype=torch.float64)
        vector_E = torch.zeros(self.width, dtype=torch.float64)
        for x_MD in chunks():
            encoded_ME = self.encoder(x_MD)
            scores_M = self.scores(encoded_ME)
            higher = torch.maximum(highest, scores_M.max())
            shrunk = torch.exp((highest - higher).double())
            weights_M = torch.exp(scores_M - higher)
            total = total * shrunk + weights_M.sum(dtype=torch.float64)
            vector_E = vector_E * shrunk + (weights_M @ encoded_ME).double()
            highest = higher
        vector_E = (vector_E / total).float()
        return vector_E, _Seen(vector_E, (highest + torch.log(total)).float())

    def traced(self, chunks: Chunks, seen: _Seen, cotangent_E: Tensor) -> Iterable[Tensor]:
        """With weights w and vectors v of instances and the bag's z, the gradient of ``z @ g`` is
        that of the sum of ``w (v @ g) + w ((v - z) @ g) score``, where only v in the first term and
        the score in the second are differentiated."""
        at_bag = seen.vector_E @ cotangent_E
        for x_MD in chunks():
            encoded_ME = self.encoder(x_MD)
            scores_M = self.scores(encoded_ME)
            along_M = encoded_ME @ cotangent_E
            weights_M = torch.exp(scores_M.detach() - seen.log_total)
            pulled_M = weights_M * (along_M.detach() - at_bag)
            yield weights_M @ along_M + pulled_M @ scores_M

    @torch.no_grad()
    def effects(
        self, x_MD: Tensor, start: int, seen: _Seen, along_E: Tensor, centre_E: Tensor
    ) -> Effect:
        """Weight times what the instance would be alone: exact, since both sums are linear."""
        encoded_ME = self.encoder(x_MD)
        attention_M = torch.exp(self.scores(encoded_ME) - seen.log_total)
        alone_M = (encoded_ME - centre_E) @ along_E
        return Effect(attention_M, attention_M * alone_M, alone_M)


class Mean(_Weighted):
    """All instances weigh the same."""

    name = "mean"

    def scores(self, encoded: Tensor) -> Tensor:
        """Nothing but zeros."""
        return encoded.new_zeros(encoded.shape[:-1])


class Attention(_Weighted):
    """Gated attention (Ilse, Tomczak & Welling 2018, "Attention-based deep multiple instance
    learning", arXiv 1802.04712): the score of h is ``w · (tanh(V h) * sigmoid(U h))``."""

    name = "attention"

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(dim, width)
        self.content = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def scores(self, encoded: Tensor) -> Tensor:
        """(…,)."""
        gated = torch.tanh(self.content(encoded)) * torch.sigmoid(self.gate(encoded))
        return self.score(gated)[..., 0]

"""The mean of the highest instances, for each number of the vector its own ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from past_training.slide_level.networks.pooling import Chunks, Effect, Pooled, Pooling

SHARES = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Of a bag: the k of "top k". One is drawn for each pass of training; else their mean is taken."""


class _Seen(NamedTuple):
    places_KE: Tensor
    """int64, of the kept instances in the bag, highest first."""
    weights_K: Tensor
    """Of ranks, highest first; 1 in sum."""


class TopK(Pooling):
    """Scores of instances, each averaged over those instances that have most of it.

    As HE2RNA does it for genes (Schmauch et al. 2020, "A deep learning model to predict RNA-Seq
    expression of tumours from whole slide images", Nat Commun 11:3877), here for E learned scores,
    of which the head is a linear function. k is a share of the bag, so that what was learned on a
    subset of its instances holds for all of them.
    """

    name = "top-k"
    additive = True

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(dim, width)
        self.scores = nn.Sequential(nn.Linear(dim, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x_BMD: Tensor, mask_BM: Tensor) -> Pooled:
        """See `Pooling.forward`; in training each call draws one k from torch's generator."""
        scores_BME = self.scores(x_BMD)
        ranked = scores_BME.masked_fill(~mask_BM[..., None], -torch.inf)
        shares = self._shares()
        weights = [rank_weights(int(n), shares) for n in mask_BM.sum(1)]
        weights_BK = torch.nn.utils.rnn.pad_sequence(weights, batch_first=True)
        top, places = ranked.topk(weights_BK.shape[1], dim=1)
        # Ranks of weight 0 may be padding: minus infinity times 0 would be no number.
        top = top.masked_fill(weights_BK[..., None] == 0, 0.0)
        vector_BE = torch.einsum("bk,bke->be", weights_BK, top)
        spread = weights_BK[..., None].expand_as(places) / self.width
        per_instance = torch.zeros_like(scores_BME).scatter(1, places, spread).sum(2)
        return Pooled(vector_BE, per_instance.detach())

    def _shares(self) -> tuple[float, ...]:
        if not self.training:
            return SHARES
        return (SHARES[int(torch.randint(len(SHARES), ()))],)

    @torch.no_grad()
    def look(self, chunks: Chunks) -> tuple[Tensor, _Seen]:
        """By keeping the highest of what came so far."""
        n = sum(len(x_MD) for x_MD in chunks())
        weights_K = rank_weights(n, self._shares())
        best_KE = torch.zeros((0, self.width))
        places_KE = torch.zeros((0, self.width), dtype=torch.int64)
        start = 0
        for x_MD in chunks():
            scores_ME = self.scores(x_MD)
            numbers_M = torch.arange(start, start + len(x_MD))
            both = torch.cat([best_KE, scores_ME])
            numbers = torch.cat([places_KE, numbers_M[:, None].expand_as(scores_ME)])
            best_KE, order = both.topk(min(len(weights_K), len(both)), dim=0)
            places_KE = numbers.gather(0, order)
            start += len(x_MD)
        return weights_K @ best_KE, _Seen(places_KE, weights_K)

    def traced(self, chunks: Chunks, seen: _Seen, cotangent_E: Tensor) -> Iterable[Tensor]:
        """Only instances that were kept have a gradient; which they are has none."""
        start = 0
        for x_MD in chunks():
            weights_ME = self._weights(seen, start, len(x_MD))
            chosen = weights_ME.any(1)
            if chosen.any():
                scores = self.scores(x_MD[chosen])
                yield ((scores * weights_ME[chosen]) @ cotangent_E).sum()
            start += len(x_MD)

    @torch.no_grad()
    def effects(
        self, x_MD: Tensor, start: int, seen: _Seen, along_E: Tensor, centre_E: Tensor
    ) -> Effect:
        """0 for what is not among the highest of any score."""
        weights_ME = self._weights(seen, start, len(x_MD))
        beyond_ME = (self.scores(x_MD) - centre_E) * along_E
        return Effect(weights_ME.mean(1), (weights_ME * beyond_ME).sum(1), beyond_ME.sum(1))

    def _weights(self, seen: _Seen, start: int, m: int) -> Tensor:
        """(m, E) of the instances from `start` on."""
        places = seen.places_KE - start
        inside = (places >= 0) & (places < m)
        weights = seen.weights_K[:, None].expand_as(places)
        # Those of other pieces go to a row of their own, which is dropped.
        return torch.zeros((m + 1, self.width)).scatter_add_(
            0, torch.where(inside, places, m), weights
        )[:m]


def rank_weights(n: int, shares: tuple[float, ...]) -> Tensor:
    """Weights (K,) of the highest, second … of n instances: the mean of ``1 / k`` for ranks up to
    k over the k of all shares, each at least 1."""
    ks = [max(1, round(share * n)) for share in shares]
    weights = torch.zeros(max(ks))
    for k in ks:
        weights[:k] += 1 / (k * len(ks))
    return weights

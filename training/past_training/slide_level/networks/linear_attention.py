"""Linearised attention over the mean vectors of clusters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from past_training.slide_level.networks.pooling import Chunks, Effect, Pooled, Pooling
from past_training.slide_level.networks.token_layer import TokenLayer

LAYERS = 2


class _Clusters(NamedTuple):
    tokens_KD: Tensor
    """Mean of the bag's instances in each cluster; 0 where there are none."""
    counts_K: Tensor


class LinearAttention(Pooling):
    """Each bag is at most K tokens: the mean vector of its instances near each of K centroids.

    As SEQUOIA does it (Pizurica et al. 2024, "Digital profiling of gene expression from histology
    images with linearized attention", Nat Commun 15:9886), with two differences: centroids are
    those of all training bags (`set_centroids`), so that a cluster means the same in each bag, and
    a token also holds the logarithm of its share of the bag, without which how much there is of a
    cluster would be lost. The attention is linear in the tokens: ``elu + 1`` of queries and keys
    takes the exponential's place (Katharopoulos et al. 2020, arXiv 2006.16236).
    """

    name = "linear-attention"
    additive = False
    centroids: Tensor

    def __init__(self, dim: int, width: int, clusters: int) -> None:
        super().__init__(dim, width)
        self.register_buffer("centroids", torch.zeros((clusters, dim)))
        self.enter = nn.Linear(dim + 1, width)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(width)

    def set_centroids(self, centroids_KD: Tensor) -> None:
        """Use these clusters; those of the training bags, standardised as `forward` gets them."""
        with torch.no_grad():
            self.centroids.copy_(centroids_KD)

    def cluster_of(self, x_MD: Tensor) -> Tensor:
        """Number of the nearest centroid, int64 (m,)."""
        half_square = (self.centroids**2).sum(1) / 2
        return (x_MD @ self.centroids.T - half_square).argmax(1)

    def forward(self, x_BMD: Tensor, mask_BM: Tensor) -> Pooled:
        """See `Pooling.forward`; a weight is the mean attention that all tokens pay to the
        instance's cluster in the last layer, shared among the cluster's instances."""
        with torch.no_grad():
            clusters = [
                self._added(self._empty(), x[mask]) for x, mask in zip(x_BMD, mask_BM, strict=True)
            ]
        tokens_BKD = torch.stack([_means(found).tokens_KD for found in clusters])
        counts_BK = torch.stack([found.counts_K for found in clusters])
        vector_BE, received_BK = self.of_clusters(tokens_BKD, counts_BK)
        weights_BM = torch.zeros(mask_BM.shape)
        share_BK = received_BK / counts_BK.clamp_min(1)
        for row, (x, mask) in enumerate(zip(x_BMD, mask_BM, strict=True)):
            weights_BM[row, mask] = share_BK[row, self.cluster_of(x[mask])]
        return Pooled(vector_BE, weights_BM)

    def of_clusters(self, tokens_BKD: Tensor, counts_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, E) of bags that are clusters already, and the attention (B, K) to each."""
        present_BK = counts_BK > 0
        share_BK = counts_BK / counts_BK.sum(1, keepdim=True)
        log_share = torch.log(share_BK.clamp_min(1e-6))
        x_BKE = self.enter(torch.cat([tokens_BKD, log_share[..., None]], 2))
        received_BK = present_BK.to(x_BKE.dtype)
        for layer in self.layers:
            x_BKE, received_BK = layer(x_BKE, present_BK)
        weights_BK = present_BK / present_BK.sum(1, keepdim=True)
        vector_BE = (self.norm(x_BKE) * weights_BK[..., None]).sum(1)
        return vector_BE, (received_BK / received_BK.sum(1, keepdim=True)).detach()

    @torch.no_grad()
    def clusters_of(self, chunks: Chunks) -> tuple[Tensor, Tensor]:
        """Tokens (K, D) and counts (K,) of one bag, read once."""
        found = self._empty()
        for x_MD in chunks():
            found = self._added(found, x_MD)
        return _means(found)

    def _empty(self) -> _Clusters:
        # Sums of millions of singles would lose digits.
        sums = torch.zeros(self.centroids.shape, dtype=torch.float64)
        return _Clusters(sums, torch.zeros(len(sums)))

    def _added(self, sums: _Clusters, x_MD: Tensor) -> _Clusters:
        cluster_M = self.cluster_of(x_MD)
        counts = torch.bincount(cluster_M, minlength=len(self.centroids))
        added = torch.zeros_like(self.centroids).index_add_(0, cluster_M, x_MD)
        return _Clusters(sums.tokens_KD + added, sums.counts_K + counts)

    @torch.no_grad()
    def look(self, chunks: Chunks) -> tuple[Tensor, _Clusters]:
        """By sums and counts of clusters."""
        clusters = _Clusters(*self.clusters_of(chunks))
        vector_BE, _ = self.of_clusters(clusters.tokens_KD[None], clusters.counts_K[None])
        return vector_BE[0], clusters

    def traced(self, chunks: Chunks, seen: _Clusters, cotangent_E: Tensor) -> Iterable[Tensor]:
        """Once, of the tokens: which cluster an instance is in has no gradient."""
        vector_BE, _ = self.of_clusters(seen.tokens_KD[None], seen.counts_K[None])
        yield vector_BE[0] @ cotangent_E

    def effects(
        self, x_MD: Tensor, start: int, seen: _Clusters, along_E: Tensor, centre_E: Tensor
    ) -> Effect:
        """To first order alone: the gradient at the instance's cluster times what it adds to the
        cluster's mean."""
        with torch.enable_grad():
            tokens = seen.tokens_KD.detach().requires_grad_()
            vector_BE, received_BK = self.of_clusters(tokens[None], seen.counts_K[None])
            (slope_KD,) = torch.autograd.grad(vector_BE[0] @ along_E, tokens)
        cluster_M = self.cluster_of(x_MD)
        count_M = seen.counts_K[cluster_M]
        effect_M = (slope_KD[cluster_M] * x_MD).sum(1) / count_M
        alone = torch.full((len(x_MD),), torch.nan)
        return Effect(received_BK[0, cluster_M] / count_M, effect_M, alone)


def _means(sums: _Clusters) -> _Clusters:
    means = sums.tokens_KD / sums.counts_K.clamp_min(1)[:, None]
    return _Clusters(means.float(), sums.counts_K)


class _Layer(TokenLayer):
    """Attention that is linear in the tokens."""

    def forward(self, x_BKE: Tensor, mask_BK: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens, and the attention (B, K) that each gets, mean over tokens and heads."""
        q, k, v = self.heads(x_BKE)
        q, k = elu(q) + 1, (elu(k) + 1) * mask_BK[:, None, :, None]
        total = q @ k.sum(2)[..., None]
        mixed = q @ (k.transpose(2, 3) @ v) / total
        asking = mask_BK[:, None, :, None] * q / total
        received_BK = (k @ asking.sum(2)[..., None])[..., 0].mean(1)
        return self.added(x_BKE, mixed), received_BK

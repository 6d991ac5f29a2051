"""The pooled vectors of a batch of patients, from memory, from disk or from clusters.

Shapes: B patients of a batch, M instances, D numbers of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.networks.linear_attention import LinearAttention
from past_training.slide_level.networks.pooling import Chunks
from past_training.slide_level.networks.slide_module import SlideModule

Halves = npt.NDArray[np.float16]

STREAMED = 32_768
"""Instances of a piece that is differentiated at once."""
HELD_BYTES = 1 << 30
"""Of vectors, at most, over all patients."""
PADDED_BYTES = 256 << 20
"""Of a batch of padded bags, in singles, at most; more are streamed."""


class Feed(Protocol):
    """Where a fit gets its patients from."""

    def vectors(self, module: SlideModule, index: npt.NDArray[np.int64]) -> Tensor:
        """Pooled vectors (B, E) of some patients, which can be differentiated."""


class Held:
    """Random instances of bags of which some, or all, lie in memory.

    Parameters
    ----------
    held
        One array (n, D) for each patient.
    instances
        Of a patient at once; others are drawn each time.
    """

    def __init__(self, held: Sequence[Halves], instances: int, rng: np.random.Generator) -> None:
        self._held, self._instances, self._rng = held, instances, rng

    def vectors(self, module: SlideModule, index: npt.NDArray[np.int64]) -> Tensor:
        """Of instances drawn for this call."""
        drawn = [self._drawn(self._held[i]) for i in index]
        longest = max(map(len, drawn))
        x_BMD = np.zeros((len(drawn), longest, drawn[0].shape[1]), np.float32)
        mask_BM = np.zeros((len(drawn), longest), np.bool_)
        for row, vectors in enumerate(drawn):
            x_BMD[row, : len(vectors)] = vectors
            mask_BM[row, : len(vectors)] = True
        return module.pooled(torch.from_numpy(x_BMD), torch.from_numpy(mask_BM)).vector_BE

    def _drawn(self, vectors: Halves) -> Halves:
        if len(vectors) <= self._instances:
            return vectors
        return vectors[self._rng.choice(len(vectors), self._instances, replace=False)]


class Streamed:
    """All instances of bags that are read piece by piece, twice for each step."""

    def __init__(self, bags: Sequence[Bag]) -> None:
        self._bags = bags

    def vectors(self, module: SlideModule, index: npt.NDArray[np.int64]) -> Tensor:
        """Of whole bags."""
        return torch.stack([module.streamed(chunks_of(self._bags[i])) for i in index])


class Clustered:
    """Bags as clusters: read once, since nothing that is learned changes them."""

    def __init__(self, bags: Sequence[Bag], module: SlideModule, pooling: LinearAttention) -> None:
        found = [pooling.clusters_of(module.readied(chunks_of(bag))) for bag in bags]
        self._pooling = pooling
        self._tokens_PKD = torch.stack([tokens for tokens, _ in found])
        self._counts_PK = torch.stack([counts for _, counts in found])

    def vectors(self, module: SlideModule, index: npt.NDArray[np.int64]) -> Tensor:
        """Of whole bags."""
        at = torch.from_numpy(index)
        return self._pooling.of_clusters(self._tokens_PKD[at], self._counts_PK[at])[0]


def chunks_of(bag: Bag) -> Chunks:
    """The vectors of a bag, piece by piece."""

    def pieces() -> Iterator[Tensor]:
        for chunk in bag.chunks(STREAMED):
            yield torch.from_numpy(np.ascontiguousarray(chunk.vectors))

    return pieces


def held_instances(bags: Sequence[Bag], wanted: int, rng: np.random.Generator) -> list[Halves]:
    """Vectors of random instances of each bag, all of small ones: at least `wanted` of each where
    there are, more as far as `HELD_BYTES` go."""
    each = max(wanted, HELD_BYTES // (2 * bags[0].dim * len(bags)))
    held = []
    for bag in bags:
        some = bag.n > each
        index = np.sort(rng.choice(bag.n, each, replace=False)) if some else np.arange(bag.n)
        held.append(bag.take(index).vectors)
    return held

"""The poolings by name."""

from __future__ import annotations

from typing import Literal, get_args

from past_training.slide_level.networks.linear_attention import LinearAttention
from past_training.slide_level.networks.pooling import HEADS, Pooling
from past_training.slide_level.networks.top_k import TopK
from past_training.slide_level.networks.transformer import Transformer
from past_training.slide_level.networks.weighted import Attention, Mean

__all__ = ["HEADS", "POOLINGS", "PoolingName", "make_pooling"]

PoolingName = Literal["mean", "attention", "top-k", "transformer", "linear-attention"]
POOLINGS: tuple[PoolingName, ...] = get_args(PoolingName)


def make_pooling(
    name: PoolingName, dim: int, width: int, *, tokens: int, draws: int, clusters: int
) -> Pooling:
    """A pooling with random weights, from torch's generator.

    Parameters
    ----------
    dim, width
        Numbers of an instance and of a pooled vector.
    tokens, draws
        Of the transformer: instances of a draw, and draws.
    clusters
        Of linear attention.
    """
    if name == "transformer":
        return Transformer(dim, width, tokens, draws)
    if name == "linear-attention":
        return LinearAttention(dim, width, clusters)
    kinds: dict[str, type[Mean | Attention | TopK]] = {
        "mean": Mean, "attention": Attention, "top-k": TopK,
    }  # fmt: skip
    return kinds[name](dim, width)

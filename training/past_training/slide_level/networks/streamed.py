"""A bag of any size as a vector that can be differentiated, in the memory of one piece of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from past_training.slide_level.networks.pooling import Chunks, Pooling


def stream_pooled(pooling: Pooling, chunks: Chunks) -> Tensor:
    """The pooled vector (E,) of a bag that is read piece by piece.

    Exact, not an approximation: equal to ``pooling(whole bag).vector`` in value and in the
    gradients of the pooling's parameters, up to rounding. The bag is read once for the value, and
    once more when the gradient is asked for.

    Parameters
    ----------
    chunks
        The same pieces each time it is called.
    """
    parameters = [p for p in pooling.parameters() if p.requires_grad]
    return _Streamed.apply(pooling, chunks, *parameters)


class _Streamed(torch.autograd.Function):
    """What a piece needs to be differentiated is computed again when its turn comes."""

    @staticmethod
    def forward(ctx: Any, pooling: Pooling, chunks: Chunks, *parameters: Tensor) -> Tensor:
        vector_E, seen = pooling.look(chunks)
        ctx.pooling, ctx.chunks, ctx.seen = pooling, chunks, seen
        ctx.save_for_backward(*parameters)
        # A copy: what is returned becomes part of the graph, and what was seen must not.
        return vector_E.clone()

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        parameters = ctx.saved_tensors
        sums: list[Tensor | None] = [None] * len(parameters)
        with torch.enable_grad():
            for scalar in ctx.pooling.traced(ctx.chunks, ctx.seen, cotangents[0]):
                found = torch.autograd.grad(scalar, parameters, allow_unused=True)
                sums = [_sum(before, now) for before, now in zip(sums, found, strict=True)]
        return (None, None, *sums)


def _sum(before: Tensor | None, now: Tensor | None) -> Tensor | None:
    if before is None or now is None:
        return now if before is None else before
    return before + now

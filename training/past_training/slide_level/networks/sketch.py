"""A random but repeatable subset of a bag, whatever the order in which its instances come."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from past_training.slide_level.networks.pooling import Chunks

_SEED = 20_240_613
_LAST = 2**63 - 1


class Sketch(NamedTuple):
    """Some instances of a bag, in the order of their keys."""

    x_SD: Tensor
    places_S: Tensor
    """int64, in the bag."""


def keys_of(x: Tensor) -> Tensor:
    """A number for each instance (…, D) that looks random and follows from its vector alone,
    int64 (…,)."""
    generator = torch.Generator().manual_seed(_SEED)
    factors = torch.randint(-_LAST, _LAST, (x.shape[-1],), generator=generator) | 1
    # Products and sums of 64 bits wrap around; the shift brings high bits down to low ones.
    key = (x.contiguous().view(torch.int32).long() * factors).sum(-1)
    return (key ^ (key >> 31)) * factors[0]


def sketch_of(chunks: Chunks, size: int) -> Sketch:
    """The `size` instances with the lowest keys, all where there are fewer."""
    kept: Sketch | None = None
    lowest = torch.zeros(0, dtype=torch.int64)
    start = 0
    for x_MD in chunks():
        keys = torch.cat([lowest, keys_of(x_MD)])
        places = torch.arange(start, start + len(x_MD))
        start += len(x_MD)
        if kept is not None:
            places = torch.cat([kept.places_S, places])
        lowest, order = keys.topk(min(size, len(keys)), largest=False, sorted=True)
        before = 0 if kept is None else len(kept.x_SD)
        rows = x_MD.new_empty((len(order), x_MD.shape[1]))
        old = order < before
        if kept is not None:
            rows[old] = kept.x_SD[order[old]]
        rows[~old] = x_MD[order[~old] - before]
        kept = Sketch(rows, places[order])
    if kept is None:
        raise ValueError("a bag without instances has no sketch.")
    return kept

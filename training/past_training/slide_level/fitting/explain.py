"""What each instance of a bag is to what the network says of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from past_training.slide_level.bags.bag import Bag, Chunk
from past_training.slide_level.fitting.feeds import STREAMED, chunks_of
from past_training.slide_level.networks.pooling import Effect
from past_training.slide_level.networks.sketch import Sketch
from past_training.slide_level.networks.slide_module import SlideModule

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Explained:
    """m instances of a bag."""

    places_um: npt.NDArray[np.float64]
    """(m, 2), (x, y) in µm of their own slide."""
    slide: npt.NDArray[np.int32]
    """(m,), which of the bag's slides."""
    attention: Floats
    """(m,), 0 or more; 1 in sum over the bag. A weight is no evidence: a heavy instance may add
    nothing."""
    contribution: Floats
    """(m,), in the output's unit, what it adds to the output beyond that of the mean training
    patient. Of mean, attention and top-k they sum to just that; of transformer and linear attention
    they are the gradient times the instance, to first order."""
    score: Floats
    """(m,), the output of a bag of this one alone; NaN for transformer and linear attention."""


def explained(module: SlideModule, bag: Bag, output_O: Tensor) -> Iterator[Explained]:
    """All instances of a bag in order, in pieces; of a transformer those that it looked at.

    Parameters
    ----------
    output_O
        Weights of the outputs that are explained.
    """
    along_E, base = module.direction(output_O)
    centre_E = module.vector_mean
    pooling = module.pooling
    _, seen = pooling.look(module.readied(chunks_of(bag)))
    if isinstance(seen, Sketch):
        effect = pooling.effects(seen.x_SD, 0, seen, along_E, centre_E)
        order = seen.places_S.argsort()
        chunk = bag.take(seen.places_S[order].numpy())
        yield _explained(chunk, Effect(*(part[order] for part in effect)), base)
        return
    start = 0
    for chunk in bag.chunks(STREAMED):
        x_MD = module.ready(torch.from_numpy(np.ascontiguousarray(chunk.vectors)))
        yield _explained(chunk, pooling.effects(x_MD, start, seen, along_E, centre_E), base)
        start += len(chunk)


def _explained(chunk: Chunk, effect: Effect, base: Tensor) -> Explained:
    return Explained(
        chunk.places_um,
        chunk.slide,
        effect.attention.numpy(),
        effect.effect.numpy(),
        (effect.alone + base).numpy(),
    )

"""What all poolings have in common: many instances of a bag become one vector.

Shapes: B bags, M instances of the longest of them, D numbers of an instance, E of a pooled vector.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from torch import Tensor, nn

Chunks = Callable[[], Iterable[Tensor]]
"""Gives the instances of one bag from the first to the last, float32 (m, D) a piece; may be asked
again and gives the same then."""


HEADS = 4
"""Of poolings in which instances or clusters attend to each other; their width is a multiple."""


class Pooled(NamedTuple):
    """Bags as vectors."""

    vector_BE: Tensor
    weights_BM: Tensor
    """What of its bag each instance is, from 0 to 1 and 1 in sum; 0 where there is none."""


class Effect(NamedTuple):
    """What m instances are to their bag and to a direction of the pooled vector."""

    attention: Tensor
    """(m,) of the weights that sum to 1 over the bag."""
    effect: Tensor
    """(m,) of the step along the direction, from the centre to the bag's vector."""
    alone: Tensor
    """(m,), the step if this were the bag's only instance; NaN where the pooling cannot tell."""


class Pooling(nn.Module):
    """Bags to vectors, whatever the order of their instances.

    `forward` takes padded bags that lie in memory. For a bag that does not, `look` reads it once
    without gradients, and `traced` gives, piece by piece, scalars whose gradients sum to those of
    the bag's vector times a cotangent.

    Parameters
    ----------
    dim
        Numbers of an instance.
    width
        Numbers of a pooled vector.
    """

    name: str
    additive: bool
    """Whether the effects of all instances sum to what the bag's vector does."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.dim, self.width = dim, width

    @abstractmethod
    def forward(self, x_BMD: Tensor, mask_BM: Tensor) -> Pooled:
        """Vectors and weights of padded bags.

        Parameters
        ----------
        x_BMD
            float32; what stands where there is no instance does not matter, if finite.
        mask_BM
            bool, True where there is an instance; at least one in each bag.
        """

    @abstractmethod
    def look(self, chunks: Chunks) -> tuple[Tensor, Any]:
        """The vector (E,) of one bag, and what `traced` and `effects` need to know of all of it."""

    @abstractmethod
    def traced(self, chunks: Chunks, seen: Any, cotangent_E: Tensor) -> Iterable[Tensor]:
        """Scalars with gradients; the sum of their gradients is that of ``vector @ cotangent``."""

    @abstractmethod
    def effects(
        self, x_MD: Tensor, start: int, seen: Any, along_E: Tensor, centre_E: Tensor
    ) -> Effect:
        """What some instances add to ``(vector - centre) @ along``.

        Parameters
        ----------
        start
            Place of the first of them in the bag.
        seen
            What `look` found.
        """

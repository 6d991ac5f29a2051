"""What turns patches into vectors, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from past_training.benchmark.task import Sample


@dataclass(frozen=True, eq=False)
class Embedded:
    """Patches of one sample as a tower gives them."""

    vectors: npt.NDArray[np.float32]
    """(n, D)."""
    own: npt.NDArray[np.float32] | None = None
    """What the model's own read-out says, (n, g), for the genes of `PatchTower.own_genes`."""


@dataclass(frozen=True)
class About:
    """What the report says of a tower."""

    what: str
    """Weights, and how a patch is shown to it; one sentence."""
    trained_on: str
    """As its card or its authors have it; one sentence."""
    fingerprints: frozenset[str] = field(default_factory=frozenset)
    """Content hashes of the slides that it was trained on, as far as its card tells."""


class PatchTower(Protocol):
    """A tower of the benchmark."""

    @property
    def name(self) -> str:
        """As it was asked for."""

    @property
    def about(self) -> About:
        """For the report."""

    def own_genes(self, genes: Sequence[str]) -> tuple[str, ...]:
        """Those of `genes` that a read-out of its own predicts, in their order; mostly none."""

    def embed(self, sample: Sample, genes: Sequence[str]) -> Embedded:
        """The patches of one sample.

        Parameters
        ----------
        genes
            `own_genes` of the task.
        """

"""All of a run that changes while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from torch.optim.lr_scheduler import LambdaLR

from past_training.engine.early_stop import EarlyStop

if TYPE_CHECKING:
    from past_training.dataset.batches import Batch


class Feed(Protocol):
    """Batches of one process, epoch by epoch; `past_training.dataset.Batches` is one."""

    def __len__(self) -> int:
        """Batches in an epoch, the same for every process."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch; after `restore`, those behind what was handed out."""

    def state(self) -> dict[str, int]:
        """Where the next batch lies."""

    def restore(self, state: dict[str, int]) -> None:
        """Go on where `state` was taken."""


@dataclass
class Position:
    """How far a run has come."""

    epoch: int = 0
    batch: int = 0
    """Batches of this epoch that were trained on."""
    step: int = 0
    """Steps of the optimizer since the start."""
    overflows: int = 0
    """Of these the last so many were left out, each for a gradient beyond half precision."""


@dataclass
class Training:
    """What a checkpoint holds beside the random numbers."""

    model: Any
    """As ``Fabric.setup`` returned it."""
    optimizer: Any
    schedule: LambdaLR
    feed: Feed
    early_stop: EarlyStop
    position: Position = field(default_factory=Position)

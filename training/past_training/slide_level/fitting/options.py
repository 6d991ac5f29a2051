"""How a network is fitted."""

from __future__ import annotations

from dataclasses import dataclass

from past_training.slide_level.networks.poolings import HEADS, POOLINGS, PoolingName

__all__ = ["POOLINGS", "FitOptions"]


@dataclass(frozen=True)
class FitOptions:
    """Choices that are made before anything is seen of the outcome; there is no early stop."""

    pooling: PoolingName = "attention"
    width: int = 32
    """Numbers of a pooled vector: the representation that transfers."""
    epochs: int = 30
    instances: int | None = 256
    """Of each bag, drawn anew for each epoch; None for all of them, streamed where a batch of bags
    does not fit in memory."""
    batch: int = 256
    """Patients of a step; in a Cox model the risk sets are theirs, so that a cohort of no more has
    the whole partial likelihood."""
    lr: float = 0.01
    weight_decay: float = 0.01
    dropout: float = 0.2
    """Of the pooled vector's numbers."""
    freeze: bool = False
    """With a network to start from: only the head is fitted."""
    tokens: int = 64
    """Of the transformer: instances of a draw."""
    draws: int = 16
    """Of the transformer: draws of a bag, at most."""
    clusters: int = 16
    """Of linear attention; about as many as there are kinds of cells. SEQUOIA has 100, of tiles and
    with thousands of patients."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {self.pooling}.")
        least = {"width": 1, "epochs": 1, "batch": 2, "tokens": 1, "draws": 1, "clusters": 1}
        for name, limit in least.items():
            if getattr(self, name) < limit:
                raise ValueError(f"{name} must be at least {limit}, got {getattr(self, name)}.")
        if self.pooling in ("transformer", "linear-attention") and self.width % HEADS:
            raise ValueError(
                f"width must be a multiple of {HEADS} with {self.pooling}, got {self.width}."
            )
        if self.instances is not None and self.instances < 1:
            raise ValueError(f"instances must be at least 1, got {self.instances}.")
        if not (self.lr > 0 and self.weight_decay >= 0 and 0 <= self.dropout < 1):
            raise ValueError("lr must be above 0, weight_decay 0 or more, dropout from 0 below 1.")

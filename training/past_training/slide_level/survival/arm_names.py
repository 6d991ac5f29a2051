"""Names of arms, for who asks before anything is imported."""

from __future__ import annotations

from typing import Literal

CLINICAL = "clinical"
Pooling = Literal["mean", "attention", "top-k", "transformer", "linear-attention"]
POOLINGS: tuple[Pooling, ...] = ("mean", "attention", "top-k", "transformer", "linear-attention")
"""Those of `networks.poolings`, which imports torch."""
HELP = (
    "clinical, mean-ridge, summaries-ridge, rna-ridge, network:POOLING:cox or :discrete "
    f"(POOLING: {', '.join(POOLINGS)}), and clinical+ANY of these"
)

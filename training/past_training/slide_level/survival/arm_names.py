"""Names of arms, for who asks before anything is imported."""

from __future__ import annotations

from typing import Literal

CLINICAL = "clinical"
Pooling = Literal["mean", "attention", "top-k", "transformer", "linear-attention"]
POOLINGS: tuple[Pooling, ...] = ("mean", "attention", "top-k", "transformer", "linear-attention")
"""Those of `networks.poolings`, which imports torch."""
HELP = (
    "clinical, mean-ridge, summaries-ridge, rna-ridge, network:POOLING:cox or :discrete "
    f"(POOLING: {', '.join(POOLINGS)}), and clinical+A, "
    "clinical+A+B, … of these"
)
_MEANS = {
    CLINICAL: "Cox's model on the covariates",
    "mean-ridge": "ridge Cox on the mean vector of a patient's cells",
    "summaries-ridge": "ridge Cox on cell composition, markers and pathways",
    "rna-ridge": "ridge Cox on measured RNA",
}
_LOSSES = {"cox": "Cox loss", "discrete": "discrete-time loss"}


def in_words(name: str) -> str:
    """What an arm is, for who reads a page; empty of a name that is not known here."""
    if name.startswith(f"{CLINICAL}+"):
        others = [in_words(o) for o in name.removeprefix(f"{CLINICAL}+").split("+")]
        told = "; ".join(others)
        return f"the covariates and the score of each of these in one Cox model: {told}"
    if name.startswith("model:"):
        return "a network that was fitted elsewhere"
    kind, _, rest = name.partition(":")
    pooling, _, loss = rest.partition(":")
    if kind == "network" and loss in _LOSSES:
        return f"a network on a patient's cells, {pooling} pooling, {_LOSSES[loss]}"
    return _MEANS.get(name, "")

"""How far to trust a gene's predicted value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_past.model.card import Card


@dataclass(frozen=True)
class Reliability:
    """How far to trust a gene's predicted value, and on what evidence."""

    gene: str
    learnable: bool
    grey: bool
    """Without held-out patients that the model never saw, nothing is promised for a new one."""
    r: float | None
    """Mean Pearson r over the held-out sections; None where it was not measured."""
    label: str
    """One line for a badge: "same patient · 100 µm spots · r 0.31 (4 sections: …)"."""


def reliability_of(card: Card, gene: str) -> Reliability:
    """What a card's evidence says of one of its genes."""
    evidence = card.evidence
    learnable = evidence.detected.get(gene, 0.0) >= card.min_detected
    measured = [v for v in evidence.r.get(gene, ()) if v is not None]
    r = float(np.mean(measured)) if measured else None
    grey = evidence.unseen_patients == 0
    if not learnable:
        label = (
            f"not learnable · seen in {100 * evidence.detected.get(gene, 0.0):.1f} % "
            f"of training spots"
        )
    elif r is None:
        label = f"{evidence.whose} · {evidence.resolution} · r not measured"
    else:
        points = ", ".join(f"{v:.2f}" for v in measured)
        unit = "part" if evidence.blocks else "section"
        sections = f"{len(measured)} {unit}{'s' if len(measured) > 1 else ''}"
        label = f"{evidence.whose} · {evidence.resolution} · r {r:.2f} ({sections}: {points})"
    return Reliability(gene, learnable, grey, r, label)

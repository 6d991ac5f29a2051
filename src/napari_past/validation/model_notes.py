"""What to mind about a model on somebody's slides, before a figure is read."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.model import Model
from napari_past.validation.tissue import Tissue

_COARSER = 1.5
"""So many times coarser pixels than the model reads: what it looks for is then not there."""


def model_notes(model: Model, tissues: Sequence[Tissue]) -> tuple[str, ...]:
    """A sentence for each slide whose pixels are much coarser than the model reads."""
    reads = model.card.encoder.mpp
    notes = []
    for tissue in tissues:
        mpp = tissue.slide.require_mpp()
        if mpp > _COARSER * reads:
            notes.append(
                f"{tissue.slide.name} has {mpp:g} µm/px, coarser than the {reads:g} µm/px that "
                f"{model.name} reads: nuclei have fewer details than it knows, so expect less."
            )
    return tuple(notes)

"""What the model was trained on, and how much of the result looks unlike it."""

from __future__ import annotations

import numpy as np

from napari_past.engine import CellTable
from napari_past.engine.measured import Assay, MeasuredStain
from napari_past.model import Model
from napari_past.model.likeness import WARN_SHARE
from napari_past.plugin.wrapped_label import WrappedLabel

_STYLE = "border-radius: 4px; padding: 6px; color: {text}; background: {fill};"
CALM = _STYLE.format(text="#e8eaed", fill="#33414d")
WARNING = _STYLE.format(text="#1d1400", fill="#f0b94a")


def provenance(model: Model) -> str:
    """One sentence on the training tissue; that a slide is comparable cannot be known from it."""
    card = model.card
    if not card.tissue:
        return (
            f"What tissue {card.name} was trained on is not stated (training data: "
            f"{card.training_data}), so nobody can say whether your slide is comparable."
        )
    return (
        f"{card.name} was trained on {card.tissue}: {card.training_data}. Check that your slide is "
        f"comparable."
    )


def unlike_share(cells: CellTable) -> float:
    """Part of the cells (0 to 1) that look unlike the training cells; 0 without cells."""
    return float(np.mean(cells.unlike_training > 1)) if len(cells) else 0.0


class Banner(WrappedLabel):
    """Calm by default, a warning colour where cells or the slide look unlike the training."""

    def __init__(self) -> None:
        super().__init__()
        self.hide()

    def set_model(self, model: Assay, cells: CellTable | None, mismatch: str = "") -> None:
        """Tell of a model and of cells; a measured stain has no training to be unlike of.

        Parameters
        ----------
        mismatch
            What to warn of where the slide looks like another kind.
        """
        if isinstance(model, MeasuredStain):
            self._tell(mismatch, WARNING)
            return
        text, style = provenance(model), CALM
        if cells is not None and len(cells):
            share = unlike_share(cells)
            if model.card.unlike_training_limit is None:
                text += "\nWhether the cells here look unlike its training cells is not known."
            else:
                text += f"\n{100 * share:.0f} % of the cells here look unlike its training cells."
            if share > WARN_SHARE:
                style = WARNING
                text += " Do not rely on the values."
            sentence = model.slide_unlike_sentence(cells.slide_unlike_training)
            if sentence:
                style = WARNING
                text += f"\n{sentence}"
        self._tell(f"{mismatch}\n{text}" if mismatch else text, WARNING if mismatch else style)

    def _tell(self, text: str, style: str) -> None:
        self.setText(text)
        self.setStyleSheet(style)
        self.setVisible(bool(text))

"""When to stop: a patient or section that is not trained on no longer improves."""

from __future__ import annotations

import math

from napari_past.errors import PastError


class EarlyStop:
    """Remembers the best loss on held-out tissue and how often it was missed since.

    Parameters
    ----------
    patience
        Stops after so many validations in a row without a new best; None never stops.
    """

    def __init__(self, patience: int | None) -> None:
        if patience is not None and patience < 1:
            raise PastError(f"Patience is at least 1 validation, but got {patience}.")
        self.patience = patience
        self.best = math.inf
        self.missed = 0

    def improved(self, loss: float) -> bool:
        """Take in the loss of one validation; whether it is the best so far."""
        better = loss < self.best
        self.best = min(self.best, loss)
        self.missed = 0 if better else self.missed + 1
        return better

    @property
    def stops(self) -> bool:
        return self.patience is not None and self.missed >= self.patience

    def state_dict(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"best": self.best, "missed": self.missed}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from a checkpoint."""
        self.best, self.missed = float(state["best"]), int(state["missed"])

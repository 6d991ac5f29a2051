"""What predicts survival: fitted on a training fold, asked of anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.cox import Baseline
from past_training.slide_level.survival.data import Indices, SurvivalData

F64 = npt.NDArray[np.float64]


class Fitted(Protocol):
    """A model of one training fold."""

    @property
    def told(self) -> tuple[str, ...]:
        """What is to be minded of this fit, a sentence each."""
        ...

    def risk(self, index: Indices) -> F64:
        """(m,) of patients, higher = worse; comparable within this fit alone."""
        ...

    def survival(self, index: Indices, times: F64) -> F64:
        """(m, t) probability of no event until each time."""
        ...


class Arm(Protocol):
    """A way to predict survival."""

    @property
    def name(self) -> str:
        """As the report and the command line have it."""
        ...

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> Fitted:
        """Fitted on these patients alone."""
        ...


@dataclass(frozen=True, eq=False)
class FittedCox:
    """Log hazards of all patients by a model of some, with the baseline of those."""

    log_hazard: F64
    """(p,) of every patient of the data."""
    baseline: Baseline
    told: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    """Names of coefficients, where there are any to be read."""
    beta: F64 | None = None
    """(k,) per unit of what `terms` name."""

    def risk(self, index: Indices) -> F64:
        """(m,) log hazard."""
        return self.log_hazard[index]

    def survival(self, index: Indices, times: F64) -> F64:
        """(m, t), by Breslow's baseline of the training fold."""
        return self.baseline.survival(self.log_hazard[index], times)

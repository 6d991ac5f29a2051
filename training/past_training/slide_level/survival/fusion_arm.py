"""Clinical covariates with the score of something else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.arm import Arm, Fitted, FittedCox
from past_training.slide_level.survival.clinical_arm import fit_or_rescue
from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation
from past_training.slide_level.survival.protocol import inner_splits

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FusionArm:
    """Cox's model of the covariates and of another arm's score, which was made out of inner folds.

    A score of patients that its model was fitted on looks better than it is, and a Cox model would
    lean on it; so each training patient's score comes from a model that has not seen the patient.
    Scores of different models have no common scale: each is standardised by the mean and the
    deviation of its own model's scores of the patients that this was fitted on.
    """

    other: Arm
    inner: int = 3

    @property
    def name(self) -> str:
        """As ``clinical+mean-ridge``."""
        return f"clinical+{self.other.name}"

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedCox:
        """The other arm is fitted on each inner fold's rest and on the whole training fold."""
        table = data.covariates
        if table is None or not len(table.columns):
            raise BadEvaluation(
                f"{self.name} needs clinical covariates; name their columns (--covariates A,B)."
            )
        everyone = np.arange(len(data))
        whole = self.other.fit(data, train, seed)
        score = _standardised(whole, train, everyone)
        told = list(whole.told)
        for rest, left_out in inner_splits(data, train, self.inner, seed):
            inside = self.other.fit(data, rest, seed)
            score[left_out] = _standardised(inside, rest, left_out)
        encoding = fit_encoding(table.iloc[train])
        x = np.column_stack((encoding.encoded(table), score))
        names = (*encoding.names, self.other.name)
        fit, more = fit_or_rescue(x[train], data.time[train], data.event[train], names)
        return FittedCox(x @ fit.beta, fit.baseline, (*encoding.told, *told, *more))


def _standardised(fitted: Fitted, own: Indices, index: Indices) -> F64:
    scores = fitted.risk(own)
    deviation = float(scores.std())
    # A model that tells patients apart by rounding errors tells them apart by nothing.
    return (
        (fitted.risk(index) - scores.mean()) / deviation
        if deviation > 1e-9
        else np.zeros(len(index))
    )

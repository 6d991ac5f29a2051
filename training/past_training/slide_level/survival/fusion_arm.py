"""Clinical covariates with the scores of other arms."""

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
    """Cox's model of the covariates and of other arms' scores, which were made out of inner folds.

    Each of the others (an image, measured RNA, summaries) adds one coefficient, so that a modality
    of many numbers does not outvote one of few. A score of patients that its model was fitted on
    looks better than it is, and a Cox model would lean on it; so each training patient's score
    comes from a model that has not seen the patient.
    Scores of different models have no common scale: each is standardised by the mean and the
    deviation of its own model's scores of the patients that this was fitted on.
    """

    others: tuple[Arm, ...]
    inner: int = 3

    @property
    def name(self) -> str:
        """As ``clinical+mean-ridge+rna-ridge``."""
        return "+".join(("clinical", *(other.name for other in self.others)))

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedCox:
        """The others are fitted on each inner fold's rest and on the whole training fold."""
        table = data.covariates
        if table is None or not len(table.columns):
            raise BadEvaluation(
                f"{self.name} needs clinical covariates; name their columns (--covariates A,B)."
            )
        if data.event[train].sum() < 2:
            raise BadEvaluation(
                f"{self.name} needs two events among the patients that are fitted on, since scores "
                "come from folds inside them; leave it out (--arms), or hold out fewer patients."
            )
        told: list[str] = []
        columns: list[F64] = []
        for other in self.others:
            score, more = self._score(other, data, train, seed)
            columns.append(score)
            told += more
        encoding = fit_encoding(table.iloc[train])
        x = np.column_stack((encoding.encoded(table), *columns))
        names = (*encoding.names, *(other.name for other in self.others))
        fit, more = fit_or_rescue(x[train], data.time[train], data.event[train], names)
        told = list(dict.fromkeys((*encoding.told, *told, *more)))
        return FittedCox(x @ fit.beta, fit.baseline, tuple(told))

    def _score(
        self, other: Arm, data: SurvivalData, train: Indices, seed: int
    ) -> tuple[F64, tuple[str, ...]]:
        """(p,) of every patient, of the fitted ones by a model that has not seen them."""
        whole = other.fit(data, train, seed)
        score = _standardised(whole, train, np.arange(len(data)))
        for rest, left_out in inner_splits(data, train, self.inner, seed):
            inside = other.fit(data, rest, seed)
            score[left_out] = _standardised(inside, rest, left_out)
        return score, whole.told


def _standardised(fitted: Fitted, own: Indices, index: Indices) -> F64:
    scores = fitted.risk(own)
    deviation = float(scores.std())
    # A model that tells patients apart by rounding errors tells them apart by nothing.
    return (
        (fitted.risk(index) - scores.mean()) / deviation
        if deviation > 1e-9
        else np.zeros(len(index))
    )

"""Cox's model on clinical covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from past_training.slide_level.survival.arm import FittedCox
from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.cox import CoxFit, fit_cox
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation

F64 = npt.NDArray[np.float64]
SEPARATED = 20.0
"""Standard error of a log hazard ratio per standard deviation: beyond, the likelihood is flat."""
_RESCUE = 0.05
"""Ridge penalty (per patient, of standardised covariates) where the likelihood has no maximum."""


@dataclass(frozen=True)
class ClinicalArm:
    """No penalty; where some covariate separates who has events, a slight one, and that is told."""

    name: str = "clinical"

    def fit(self, data: SurvivalData, train: Indices, seed: int) -> FittedCox:
        """By Newton's method: the seed has no say."""
        table = data.covariates
        if table is None or not len(table.columns):
            raise BadEvaluation(
                "The cohort has no clinical covariates; name their columns (--covariates A,B), or "
                "leave the clinical arm out (--arms)."
            )
        encoding = fit_encoding(table.iloc[train])
        x = encoding.encoded(table)
        fit, told = fit_or_rescue(x[train], data.time[train], data.event[train], encoding.names)
        return FittedCox(
            x @ fit.beta,
            fit.baseline,
            (*encoding.told, *told),
            encoding.names,
            fit.beta / encoding.unit(),
        )


def fit_or_rescue(
    x: F64, time: F64, event: npt.NDArray[np.bool_], names: Sequence[str]
) -> tuple[CoxFit, tuple[str, ...]]:
    """The fit without a penalty; where that has no finite answer, with a slight one, told."""
    fit = fit_cox(x, time, event)
    scale = x.std(axis=0)
    # A column of zeros, as a score that says nothing, is flat as well but does no harm.
    flat = [
        n for n, sd, s in zip(names, fit.deviation, scale, strict=True) if s and sd * s > SEPARATED
    ]
    if fit.converged and not flat:
        return fit, ()
    which = f"{', '.join(flat)} separates" if flat else "the covariates separate"
    told = (
        f"Cox's model does not converge in a training fold: {which} patients with events from "
        f"those without, or repeats other covariates; a ridge penalty of {_RESCUE:g} was used."
    )
    unit = np.where(scale > 0, scale, 1.0)
    rescued = fit_cox(x / unit, time, event, _RESCUE)
    return (
        CoxFit(rescued.beta / unit, rescued.deviation / unit, True, rescued.baseline),
        (told,),
    )

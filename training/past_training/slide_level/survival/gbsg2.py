"""The clinical arm on a cohort whose Cox model is known: GBSG2.

686 patients with node-positive breast cancer, 299 recurrences or deaths (Schumacher et al., Journal
of Clinical Oncology 12, 1994), as lifelines brings them. The known model is R's ``coxph(Surv(time,
cens) ~ ., data = GBSG2)`` of the package survival, which Hothorn and Everitt print (A Handbook of
Statistical Analyses Using R, chapter on survival analysis, where grade has polynomial contrasts).
The coefficients below have grade against I, as R's values stand in the validation report of
https://github.com/kangk1204/SurvStudio, beside lifelines' and scikit-survival's of this model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from past_training.slide_level.survival.arm import Arm
from past_training.slide_level.survival.clinical_arm import ClinicalArm
from past_training.slide_level.survival.concordance import concordance, harrell_pairs
from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.cox import fit_cox
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.evaluate import evaluate_survival
from past_training.slide_level.survival.protocol import Protocol
from past_training.slide_level.survival.result import SurvivalResult

KNOWN = {
    "horTh=yes": (-0.346278, 0.129075),
    "age": (-0.00945924, 0.00930059),
    "menostat=Pre": (-0.258445, 0.183476),
    "tsize": (0.00779608, 0.00393902),
    "tgrade=II": (0.636112, 0.249202),
    "tgrade=III": (0.779654, 0.26848),
    "pnodes": (0.0487886, 0.00744709),
    "progrec": (-0.00221724, 0.000573529),
    "estrec": (0.000197311, 0.000450368),
}
"""R's coefficient and standard error of each term, to six digits."""
KNOWN_C = 0.691851
"""R's concordance of the same fit, on the patients that it was fitted on."""


@dataclass(frozen=True)
class KnownTerm:
    """One coefficient beside the published one."""

    name: str
    coefficient: float
    deviation: float
    known: float
    known_deviation: float


@dataclass(frozen=True, eq=False)
class Gbsg2:
    """What the clinical arm finds."""

    terms: tuple[KnownTerm, ...]
    concordance: float
    """On the patients that it was fitted on, as R's is: optimistic."""
    result: SurvivalResult
    """Of held-out patients."""

    @property
    def largest_difference(self) -> float:
        """Between a coefficient and the known one, in known standard errors."""
        return max(abs(t.coefficient - t.known) / t.known_deviation for t in self.terms)


def gbsg2_data() -> SurvivalData:
    """The cohort, grade as a category whose first level is I."""
    # lifelines takes seconds to import.
    from lifelines.datasets import load_gbsg2

    table = load_gbsg2()
    covariates = table.drop(columns=["time", "cens"])
    for column in covariates.columns:
        if pd.api.types.is_numeric_dtype(covariates[column]):
            covariates[column] = covariates[column].astype(np.float64)
    return SurvivalData(
        tuple(str(i) for i in range(len(table))),
        table["time"].to_numpy(np.float64),
        table["cens"].to_numpy(np.bool_),
        covariates,
        time_unit="days",
        name="GBSG2",
    )


def evaluate_gbsg2(protocol: Protocol | None = None, arms: tuple[Arm, ...] = ()) -> Gbsg2:
    """The known model fitted again, and the clinical arm under the protocol.

    Parameters
    ----------
    arms
        Beside the clinical one.
    """
    data = gbsg2_data()
    covariates = data.covariates
    assert covariates is not None
    encoding = fit_encoding(covariates, {"tgrade": "I"})
    x = encoding.encoded(covariates)
    fit = fit_cox(x, data.time, data.event)
    unit = encoding.unit()
    own = {
        name: (float(b), float(s))
        for name, b, s in zip(encoding.names, fit.beta / unit, fit.deviation / unit, strict=True)
    }
    terms = tuple(KnownTerm(name, *own[name], *known) for name, known in KNOWN.items())
    pairs = harrell_pairs(data.time, data.event)
    return Gbsg2(
        terms,
        concordance(pairs, x @ fit.beta),
        evaluate_survival(data, (ClinicalArm(), *arms), protocol),
    )

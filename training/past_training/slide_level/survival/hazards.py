"""Whether clinical covariates act alike at all times, as Cox's model takes for granted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pandas as pd

from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.data import Indices, SurvivalData
from past_training.slide_level.survival.protocol import Split

LIMIT = 0.05


@dataclass(frozen=True)
class ProportionalHazards:
    """Grambsch and Therneau's test (1994) of each term, on ranks of time."""

    terms: tuple[str, ...]
    p_values: tuple[float, ...]
    """On all patients; empty where the model does not converge."""
    violated: tuple[str, ...]
    """Terms below the limit after Holm's correction, on all patients."""
    folds: tuple[int, ...]
    """In how many training folds each term of `terms` lies below the uncorrected limit."""
    tested: int
    """How many training folds could be tested."""


def proportional_hazards(data: SurvivalData, made: tuple[Split, ...]) -> ProportionalHazards | None:
    """Of the clinical model, on everybody and on each training fold; None without covariates.

    The test describes the cohort. It changes no model and no prediction.
    """
    if data.covariates is None:
        return None
    whole = _tested(data, None)
    terms = tuple(whole)
    below, tested = dict.fromkeys(terms, 0), 0
    for split in made:
        found = _tested(data, split.train)
        tested += bool(found)
        for term, value in found.items():
            if term in below and value < LIMIT:
                below[term] += 1
    return ProportionalHazards(
        terms, tuple(whole.values()), _holm(whole), tuple(below.values()), tested
    )


def _tested(data: SurvivalData, rows: Indices | None) -> dict[str, float]:
    # lifelines brings autograd and takes seconds to import.
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError
    from lifelines.statistics import proportional_hazard_test

    assert data.covariates is not None
    table = data.covariates if rows is None else data.covariates.iloc[rows]
    encoding = fit_encoding(table)
    frame = pd.DataFrame(encoding.encoded(table), columns=list(encoding.names))
    if not len(encoding.names):
        return {}
    # Names that no covariate has.
    time, event = "\0time", "\0event"
    frame[time] = data.time if rows is None else data.time[rows]
    frame[event] = data.event if rows is None else data.event[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = CoxPHFitter().fit(frame, time, event)
        except (ConvergenceError, ValueError):
            return {}
        found = proportional_hazard_test(fitted, frame, time_transform="rank").summary["p"]
    return {str(term): float(value) for term, value in found.items()}


def _holm(p_values: dict[str, float]) -> tuple[str, ...]:
    ordered = sorted(p_values, key=lambda term: p_values[term])
    below = []
    for i, term in enumerate(ordered):
        if not p_values[term] < LIMIT / (len(ordered) - i):
            break
        below.append(term)
    return tuple(below)

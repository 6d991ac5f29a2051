"""Covariates that give the outcome away, because they were written down after it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from past_training.slide_level.cohort.errors import BadCohort

REPEATS = 0.98
"""Rank correlation with the time from which a covariate is the time in other words: no measured
predictor of survival comes near it."""
LEAST_PATIENTS = 10
"""With fewer a column may fit the outcome by chance."""
LEAST_OF_EACH = 5
"""With fewer patients with the event, or without, a column may part them by chance."""
MOST_LEVELS = 5
"""A covariate of few levels that tells the event of every patient is the event."""


def check_leaks(
    covariates: pd.DataFrame, time: npt.NDArray[np.float64], event: npt.NDArray[np.bool_]
) -> None:
    """Raise `BadCohort` for a covariate that repeats the time or the event, or is missing by it."""
    if len(time) < LEAST_PATIENTS:
        return
    for column in covariates.columns:
        values = covariates[column]
        why = _repeated(values, time, event)
        if why:
            raise BadCohort(
                f"The covariate {str(column)!r} gives the outcome away: it {why}, as if it had "
                f"been written down after the outcome was known; leave it out."
            )


def _repeated(
    values: pd.Series, time: npt.NDArray[np.float64], event: npt.NDArray[np.bool_]
) -> str:
    """What of the outcome a covariate repeats; empty where it does not."""
    known = values.notna().to_numpy()
    for missing_means in (event, ~event):
        if (known == missing_means).all() and not known.all():
            return "is missing just where the event was, or was not, seen"
    if values.dtype != object:
        numbers = values.to_numpy(np.float64)
        for rows, whose in ((event & known, "with an event"), (known, "")):
            if rows.sum() >= LEAST_PATIENTS and abs(_rank_r(numbers[rows], time[rows])) >= REPEATS:
                return f"orders the patients {whose} as the time does".replace("  ", " ")
    with_event, without = values[known & event], values[known & ~event]
    if min(len(with_event), len(without)) < LEAST_OF_EACH:
        return ""
    if not set(with_event) & set(without) and values.nunique() <= MOST_LEVELS:
        return "tells the event of every patient"
    if values.dtype != object and (
        with_event.min() > without.max() or with_event.max() < without.min()
    ):
        return "parts the patients with the event from all others"
    return ""


def _rank_r(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Spearman's rank correlation; 0 where one of both is constant."""
    x, y = rankdata(a) - (len(a) + 1) / 2, rankdata(b) - (len(b) + 1) / 2
    norm = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / norm if norm else 0.0

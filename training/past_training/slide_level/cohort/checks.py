"""What a table of patients must hold before anything is fitted on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.table import counted, numbers, shown, texts

MOST_LEVELS = 0.5
"""Of a covariate of texts: with more levels than this share of the patients it is a name."""


def check_outcome(
    time: npt.NDArray[np.float64], event: npt.NDArray[np.bool_], patients: Sequence[str]
) -> None:
    """Raise `BadCohort` for times (p,) that are missing or not above 0, and without an event."""
    wrong = {
        "no time of follow-up": ~np.isfinite(time),
        "a negative time of follow-up": time < 0,
        "a time of follow-up of 0": time == 0,
    }
    for what, rows in wrong.items():
        if rows.any():
            who = [patients[i] for i in np.flatnonzero(rows).tolist()]
            raise BadCohort(
                f"There is {what} for {counted(len(who), 'patient')} ({shown(who)}); correct it, "
                f"or remove their rows and say so: nobody at risk can be compared with them."
            )
    if not event.any():
        raise BadCohort(
            "No event was seen in any patient (all are censored), so there is nothing to learn; "
            "check that 1 means that the event was seen."
        )


def check_folds(fold: Sequence[str], event: npt.NDArray[np.bool_] | None) -> None:
    """Raise `BadCohort` for a split of one fold, or with a fold in which no event was seen."""
    sizes = Counter(fold)
    if len(sizes) < 2:
        raise BadCohort(
            f"All patients are in the fold {next(iter(sizes))!r}, so nothing is held out; give at "
            f"least two folds, or leave the column out."
        )
    if event is None:
        return
    for name in sizes:
        if not event[np.array([one == name for one in fold])].any():
            raise BadCohort(
                f"No event was seen in the fold {name!r} (all of its "
                f"{counted(sizes[name], 'patient')} censored), so nothing can be measured on it; "
                f"join it with another."
            )


def site_notes(site: Sequence[str], event: npt.NDArray[np.bool_] | None) -> list[str]:
    """What is to be minded where whole sites are held out."""
    sizes = Counter(site)
    if len(sizes) == 1:
        return [f"All patients are of the site {site[0]!r}: no site can be held out."]
    notes = []
    alone = [name for name, count in sizes.items() if count == 1]
    if alone:
        notes.append(f"Sites with a single patient: {shown(alone)}.")
    if event is not None:
        without = [
            name for name in sizes if not event[np.array([one == name for one in site])].any()
        ]
        if without:
            notes.append(f"Sites where no event was seen: {shown(without)}.")
    return notes


def check_classes(classes: Mapping[str, Sequence[str | None]]) -> list[str]:
    """Notes on labels; raises `BadCohort` for a task of fewer than two classes."""
    notes = []
    for task, labels in classes.items():
        counts = Counter(label for label in labels if label is not None)
        if len(counts) < 2:
            only = f"only {next(iter(counts))!r}" if counts else "no label"
            raise BadCohort(
                f"The class {task!r} has {only}, so there is nothing to tell apart; leave it out."
            )
        missing = len(labels) - counts.total()
        if missing:
            notes.append(f"{task}: no label of {missing} of {len(labels)} patients.")
        alone = [label for label, count in counts.items() if count == 1]
        if alone:
            notes.append(f"{task}: one patient each is of {shown(alone)}.")
    return notes


def check_covariates(
    first: pd.DataFrame, columns: Sequence[str], patients: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Covariates as numbers where all of a column are, else as texts; and what is missing.

    Missing values stay missing: what is put in their place is learned on training patients alone.

    Raises
    ------
    BadCohort
        One is the same in all patients, missing in all, infinite, or a name of each patient.
    """
    table: dict[str, npt.NDArray] = {}
    notes = []
    for column in columns:
        parsed = numbers(first[column])
        values: npt.NDArray
        if parsed is None:
            values = np.array(texts(first[column]), dtype=object)
        elif np.isinf(parsed).any():
            raise BadCohort(f"The covariate {column!r} has an infinite value; correct it.")
        else:
            values = parsed
        missing = pd.isna(values)
        levels = len(set(values[~missing].tolist()))
        if levels < 2:
            what = "the same in all patients" if levels else "missing in all patients"
            raise BadCohort(f"The covariate {column!r} is {what}; leave it out.")
        if parsed is None and levels > max(2, MOST_LEVELS * len(patients)):
            raise BadCohort(
                f"The covariate {column!r} has {levels} different texts in {len(patients)} "
                f"patients, so it names them; leave it out, or group its values."
            )
        if missing.any():
            notes.append(
                f"{column}: missing in {int(missing.sum())} of {len(patients)} patients; filled "
                f"in within each fold, from its training patients."
            )
        table[column] = values
    return pd.DataFrame(table, index=pd.Index(list(patients), dtype=object, name="patient")), notes

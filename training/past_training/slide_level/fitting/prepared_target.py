"""What a prepared cohort has to learn a task from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.bags.prepared import Prepared
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting.targets import (
    AlignTarget,
    BulkTarget,
    ClassTarget,
    SurvivalTarget,
    Target,
)

Task = Literal["survival", "classification", "bulk", "align"]
Loss = Literal["cox", "discrete"]
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Learned:
    """The patients that can be learned from, in the cohort's order."""

    prepared: Prepared
    """Whose slides are theirs alone."""
    patients: tuple[str, ...]
    bags: tuple[Bag, ...]
    target: Target
    notes: tuple[str, ...]
    """Who was left out, a sentence each."""


def learned_from(
    prepared: Prepared, task: Task, loss: Loss = "cox", classes: Sequence[str] | None = None
) -> Learned:
    """The bags and the target of a task, without patients that tell nothing of it.

    Parameters
    ----------
    classes
        Of classification: tasks among the cohort's; None for all.

    Raises
    ------
    BadCohort
        The cohort has nothing of that kind.
    """
    cohort = prepared.cohort
    filled = np.array([bag.n > 0 for bag in prepared.bags], np.bool_)
    if task == "survival":
        if cohort.time is None or cohort.event is None:
            raise _lacking("outcomes", "--time and --event")
        index = np.flatnonzero(filled)
        target: Target = SurvivalTarget(cohort.time[index], cohort.event[index], loss)
    elif task == "classification":
        labels = _labels(prepared, classes)
        known = np.array([[label is not None for label in column] for column in labels.values()])
        index = np.flatnonzero(filled & known.any(0))
        target = ClassTarget({name: _of(column, index) for name, column in labels.items()})
    elif task == "bulk":
        if cohort.rna is None:
            raise _lacking("measured RNA", "--rna")
        index = np.flatnonzero(filled & np.isfinite(cohort.rna).any(1))
        target = BulkTarget(cohort.rna[index], cohort.rna_genes)
    else:
        both = [values for values in (cohort.rna, cohort.text) if values is not None]
        if not both:
            raise _lacking("RNA or texts", "--rna or --text")
        there = np.any([np.isfinite(values).all(1) for values in both], 0)
        index = np.flatnonzero(filled & there)
        target = AlignTarget(
            None if cohort.rna is None else cohort.rna[index],
            cohort.rna_genes,
            None if cohort.text is None else cohort.text[index],
        )
    return _learned(prepared, target, index, int((~filled).sum()))


def _labels(prepared: Prepared, classes: Sequence[str] | None) -> dict[str, tuple[str | None, ...]]:
    there = prepared.cohort.classes
    if not there:
        raise _lacking("classes", "--classes")
    wanted = tuple(there) if classes is None else classes
    for name in wanted:
        if name not in there:
            raise BadCohort(f"The cohort has no classes {name!r}; give some of {', '.join(there)}.")
    return {name: there[name] for name in wanted}


def _learned(
    prepared: Prepared, target: Target, index: npt.NDArray[np.int64], empty: int
) -> Learned:
    patients = _of(prepared.cohort.patients, index)
    without = len(prepared.bags) - len(index) - empty
    notes = []
    if empty:
        notes.append(f"{empty} of the patients have no cells and are left out.")
    if without:
        notes.append(f"Of {without} of the patients nothing is known to learn; they are left out.")
    kept = set(patients)
    slides = tuple(slide for slide in prepared.slides if slide.patient in kept)
    return Learned(
        replace(prepared, slides=slides), patients, _of(prepared.bags, index), target, tuple(notes)
    )


def _of(values: Sequence[_T], index: npt.NDArray[np.int64]) -> tuple[_T, ...]:
    return tuple(values[i] for i in index)


def _lacking(what: str, options: str) -> BadCohort:
    return BadCohort(f"The cohort has no {what} to learn from; prepare it again with {options}.")

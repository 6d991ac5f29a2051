"""What a network may be fitted to; the patients are in the order of their bags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from past_training.slide_level.cohort.errors import BadCohort

FEWEST = 2
"""Patients without whom there is nothing to compare."""


@dataclass(frozen=True, eq=False)
class SurvivalTarget:
    """Time to an event that may not have been seen.

    Raises
    ------
    BadCohort
        No event was seen, so that nothing can be learned, or the arrays do not fit each other.
    """

    time: npt.NDArray[np.float64]
    """(p,), above 0."""
    event: npt.NDArray[np.bool_]
    """(p,)."""
    loss: Literal["cox", "discrete"] = "cox"
    intervals: int = 8
    """Of the discrete loss: at most so many, with about as many events each."""

    def __post_init__(self) -> None:
        if self.time.shape != self.event.shape or self.time.ndim != 1:
            raise ValueError(f"time {self.time.shape} and event {self.event.shape} must be (p,).")
        if not (np.isfinite(self.time).all() and (self.time > 0).all()):
            raise BadCohort("Times must be finite and above 0; correct the table.")
        if not self.event.any():
            raise BadCohort(
                "None of the patients that are fitted to had the event, so nothing can be learned; "
                "choose another outcome or a longer follow-up."
            )

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, eq=False)
class ClassTarget:
    """One or several tasks; a patient may lack the class of some.

    Raises
    ------
    BadCohort
        A task with fewer than two classes.
    """

    labels: Mapping[str, tuple[str | None, ...]]
    """Task to (p,) classes."""

    def __post_init__(self) -> None:
        if len({len(labels) for labels in self.labels.values()}) != 1:
            raise ValueError("all tasks must have the same patients.")
        for task, classes in self.classes.items():
            if len(classes) < 2:
                raise BadCohort(
                    f"Task {task} has fewer than two classes among the patients that are fitted "
                    f"to; leave it out or add patients."
                )

    def __len__(self) -> int:
        return len(next(iter(self.labels.values())))

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Task to the classes that occur, by name."""
        return {
            task: tuple(sorted({label for label in labels if label is not None}))
            for task, labels in self.labels.items()
        }

    def codes(self) -> npt.NDArray[np.int64]:
        """(p, tasks), place among the task's classes; -1 where it is missing."""
        columns = []
        for task, labels in self.labels.items():
            place = {label: code for code, label in enumerate(self.classes[task])}
            columns.append([-1 if label is None else place[label] for label in labels])
        return np.array(columns, np.int64).T


@dataclass(frozen=True, eq=False)
class BulkTarget:
    """Expression of g genes, measured in bulk.

    Raises
    ------
    BadCohort
        Fewer than two patients have it.
    """

    values: npt.NDArray[np.float32]
    """(p, g); NaN where it is missing."""
    genes: tuple[str, ...]
    unit: str = "as given"

    def __post_init__(self) -> None:
        if self.values.shape[1:] != (len(self.genes),):
            raise ValueError(f"values {self.values.shape} must be (p, {len(self.genes)}).")
        _require_patients(self.values, "bulk expression")

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class AlignTarget:
    """Other modalities of the same patients, of which each may lack some.

    Raises
    ------
    BadCohort
        Neither modality, or fewer than two patients with one of them.
    """

    rna: npt.NDArray[np.float32] | None = None
    """(p, g); a row of NaN for a patient without."""
    rna_genes: tuple[str, ...] = ()
    text: npt.NDArray[np.float32] | None = None
    """(p, t), vectors of reports; a row of NaN for a patient without."""

    def __post_init__(self) -> None:
        if not self.modalities:
            raise BadCohort(
                "There is neither RNA nor text to align slides with; prepare the cohort again with "
                "--rna or --text."
            )
        if len({len(values) for values in self.modalities.values()}) != 1:
            raise ValueError("both modalities must have the same patients.")
        for name, values in self.modalities.items():
            _require_patients(values, name)

    def __len__(self) -> int:
        return len(next(iter(self.modalities.values())))

    @property
    def modalities(self) -> dict[str, npt.NDArray[np.float32]]:
        """Those that there are, by name."""
        both = {"rna": self.rna, "text": self.text}
        return {name: values for name, values in both.items() if values is not None}


Target = SurvivalTarget | ClassTarget | BulkTarget | AlignTarget


def _require_patients(values: npt.NDArray[np.float32], what: str) -> None:
    if int(np.isfinite(values).any(1).sum()) < FEWEST:
        raise BadCohort(
            f"Fewer than {FEWEST} patients have {what}, so nothing can be learned of it; give "
            f"a table with more of them."
        )

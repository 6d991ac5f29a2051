"""Patients with their slides, outcomes and whatever else was measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from past_training.slide_level.cohort.errors import BadCohort


@dataclass(frozen=True)
class CohortSlide:
    """One slide of a patient: a picture of H&E, or a table of its cells."""

    name: str
    """No two slides of a cohort have one."""
    place: str
    """A path or an address."""
    patient: str
    fingerprint: str = ""
    """Of the H&E's content; empty where nobody looked, or a table does not tell."""
    mpp: float | None = None
    """µm/px as the table of patients gives it."""
    rois: str | None = None
    """Path of a GeoJSON file with regions."""

    @property
    def is_table(self) -> bool:
        """Whether it is a table of cells that were encoded before."""
        return self.place.lower().endswith(".h5ad")


@dataclass(frozen=True, eq=False)
class Cohort:
    """p patients, in the order in which the table names them first."""

    name: str
    patients: tuple[str, ...]
    slides: tuple[CohortSlide, ...] = ()
    """Of a table without slides none."""
    time: npt.NDArray[np.float64] | None = None
    """(p,), above 0; None where no outcome is told."""
    event: npt.NDArray[np.bool_] | None = None
    """(p,), whether the event was seen at that time."""
    time_unit: str = ""
    covariates: pd.DataFrame = field(default_factory=pd.DataFrame)
    """(p, c), index `patients`: float64 columns of numbers, object columns of texts; as they were
    given, with NaN and None where they were missing."""
    site: tuple[str, ...] | None = None
    """(p,)."""
    fold: tuple[str, ...] | None = None
    """(p,), names of the folds of a split that was given."""
    classes: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    """(p,) labels of each task; None where one is missing."""
    rna: npt.NDArray[np.float32] | None = None
    """(p, g), measured bulk expression as it was given; a row of NaN for a patient without."""
    rna_genes: tuple[str, ...] = ()
    text: npt.NDArray[np.float32] | None = None
    """(p, t), vectors of reports; a row of NaN for a patient without."""
    notes: tuple[str, ...] = ()
    """What is to be minded, a sentence each."""

    def __post_init__(self) -> None:
        p = len(self.patients)
        lengths = {
            "time": self.time,
            "event": self.event,
            "site": self.site,
            "fold": self.fold,
            "rna": self.rna,
            "text": self.text,
            **self.classes,
        }
        wrong = [
            name for name, values in lengths.items() if values is not None and len(values) != p
        ]
        if wrong or (len(self.covariates.columns) and len(self.covariates) != p):
            raise ValueError(f"{', '.join(wrong) or 'covariates'} must have {p} patients.")

    def __len__(self) -> int:
        return len(self.patients)

    def slides_of(self, patient: str) -> tuple[CohortSlide, ...]:
        """The slides of one patient, in the table's order."""
        return tuple(slide for slide in self.slides if slide.patient == patient)

    def require_slides(self) -> None:
        """Raise `BadCohort` where the table names none."""
        if not self.slides:
            raise BadCohort(
                "The table names no slides, so there is nothing to encode; name their column "
                "(--slide), or evaluate the table itself: past-train slide evaluate TABLE."
            )

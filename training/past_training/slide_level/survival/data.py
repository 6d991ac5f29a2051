"""What is known of patients whose survival is predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from past_training.slide_level.bags.bag import Bag
from past_training.slide_level.bags.prepared import Prepared
from past_training.slide_level.cohort.cohort import Cohort
from past_training.slide_level.survival.errors import BadEvaluation

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SurvivalData:
    """p patients, each once, with their outcome and whatever may predict it."""

    patients: tuple[str, ...]
    time: npt.NDArray[np.float64]
    """(p,), above 0."""
    event: npt.NDArray[np.bool_]
    """(p,), whether the event was seen at that time; else the patient was followed until then."""
    covariates: pd.DataFrame | None = None
    """(p, c) float64 columns of numbers with NaN, object columns of texts with None."""
    bags: tuple[Bag, ...] | None = None
    """(p,)."""
    mean_vectors: npt.NDArray[np.float32] | None = None
    """(p, d)."""
    summaries: pd.DataFrame | None = None
    """(p, s) numbers; NaN where one is missing."""
    rna: npt.NDArray[np.float32] | None = None
    """(p, g); a row of NaN for a patient without."""
    site: tuple[str, ...] | None = None
    fold: tuple[str, ...] | None = None
    time_unit: str = ""
    name: str = "cohort"
    source: str = ""
    """Of the cells, a sentence; empty of a table alone."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        p = len(self.patients)
        if len(set(self.patients)) != p:
            raise ValueError("Each patient is named once.")
        given = (self.time, self.event, self.covariates, self.bags, self.mean_vectors)
        more = (self.summaries, self.rna, self.site, self.fold)
        if any(values is not None and len(values) != p for values in (*given, *more)):
            raise ValueError(f"Everything must have {p} patients.")
        if not (np.isfinite(self.time).all() and (self.time > 0).all()):
            raise BadEvaluation("Times of follow-up must be numbers above 0; correct the table.")
        if not self.event.any():
            raise BadEvaluation(
                "No patient of this cohort has an event, so nothing can be ranked; check which "
                "column tells events (1 seen, 0 censored)."
            )

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def events(self) -> int:
        """How many were seen."""
        return int(self.event.sum())


def of_cohort(cohort: Cohort) -> SurvivalData:
    """A table's patients, without pictures.

    Raises
    ------
    BadEvaluation
        The cohort tells no outcome.
    """
    if cohort.time is None or cohort.event is None:
        raise BadEvaluation(
            f"{cohort.name} tells no survival; name the columns of times and events "
            "(--time and --event), in `past-train slide prepare` where it was prepared."
        )
    return SurvivalData(
        cohort.patients,
        cohort.time,
        cohort.event,
        covariates=cohort.covariates if len(cohort.covariates.columns) else None,
        rna=cohort.rna,
        site=cohort.site,
        fold=cohort.fold,
        time_unit=cohort.time_unit,
        name=cohort.name,
        notes=cohort.notes,
    )


def of_prepared(prepared: Prepared) -> SurvivalData:
    """Prepared patients with their bags and summaries.

    Raises
    ------
    BadEvaluation
        The cohort tells no outcome.
    """
    table = of_cohort(prepared.cohort)
    return replace(
        table,
        bags=prepared.bags,
        mean_vectors=prepared.mean_vectors,
        summaries=prepared.summaries if len(prepared.summaries.columns) else None,
        source=_source(prepared),
        notes=(*table.notes, *prepared.notes),
    )


def _source(prepared: Prepared) -> str:
    cells, slides = sum(slide.cells for slide in prepared.slides), len(prepared.slides)
    tiles = "" if prepared.tile_um is None else f", averaged in squares of {prepared.tile_um:g} µm"
    model = prepared.model.name or "a model that the tables do not tell"
    return (
        f"{cells:,} cells of {slides} slide{'' if slides == 1 else 's'}{tiles}; vectors of {model}."
    )

"""Which column of a table of slides and patients holds what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from past_training.slide_level.cohort.errors import BadCohort


@dataclass(frozen=True)
class CohortColumns:
    """Names of columns; None where the table has no such thing."""

    slide: str | None = None
    """Slides of H&E or tables of cells (.h5ad), from the table's own folder on."""
    patient: str | None = None
    """Needed beside slides; without slides None makes a patient of each row."""
    time: str | None = None
    """Of follow-up, above 0."""
    event: str | None = None
    """1 where the event was seen at that time, 0 where the patient was followed until then."""
    covariates: tuple[str, ...] = ()
    site: str | None = None
    """Where a patient was treated or scanned, to hold whole sites out."""
    fold: str | None = None
    """Folds of somebody else's split."""
    classes: tuple[str, ...] = ()
    """Labels to learn, one task each; they may be missing."""
    mpp: str | None = None
    """µm/px of slides that do not state it."""
    rois: str | None = None
    """GeoJSON of each slide's regions, in its pixels; Ignore* wins."""
    time_unit: str = ""
    """As "months"; nothing is converted."""

    def __post_init__(self) -> None:
        if (self.time is None) != (self.event is None):
            raise BadCohort(
                "An outcome is a time and whether the event was seen at it; name both columns "
                "(--time and --event), or neither."
            )
        if self.slide is not None and self.patient is None:
            raise BadCohort(
                "Slides of one patient must stay together; name the column that tells patients "
                "apart (--patient)."
            )
        used: dict[str, str] = {}
        for role, column in self.roles():
            if used.get(column) == role:
                raise BadCohort(f"The column {column!r} is given twice as {role}; name it once.")
            if column in used:
                raise BadCohort(
                    f"The column {column!r} is given as {used[column]} and as {role}; what is to "
                    f"be predicted cannot predict itself, and each column has one role."
                )
            used[column] = role

    def roles(self) -> Iterator[tuple[str, str]]:
        """What each named column is used as, and its name."""
        for role in ("slide", "patient", "time", "event", "site", "fold", "mpp", "rois"):
            column = getattr(self, role)
            if column is not None:
                yield role, column
        yield from (("a covariate", column) for column in self.covariates)
        yield from (("a class", column) for column in self.classes)

    @property
    def of_patient(self) -> tuple[str, ...]:
        """Columns that are the same in all rows of a patient."""
        single = (self.time, self.event, self.site, self.fold)
        return (*(c for c in single if c is not None), *self.covariates, *self.classes)

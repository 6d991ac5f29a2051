"""A cohort from a table with a row for each slide, or for each patient where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_past.slide.place import is_remote, shown_name
from past_training.slide_level.cohort.beside import bulk_rna, report_vectors
from past_training.slide_level.cohort.checks import (
    check_classes,
    check_covariates,
    check_folds,
    check_outcome,
    site_notes,
)
from past_training.slide_level.cohort.cohort import Cohort, CohortSlide
from past_training.slide_level.cohort.columns import CohortColumns
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.leaks import check_leaks
from past_training.slide_level.cohort.table import (
    counted,
    numbers,
    read_frame,
    require_columns,
    shown,
    texts,
)

_TRUTHS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


def read_cohort(
    path: str | Path,
    columns: CohortColumns,
    rna: str | Path | None = None,
    text: str | Path | None = None,
) -> Cohort:
    """The patients of a table, checked; slides are not opened (see `slides.looked_at`).

    Parameters
    ----------
    path
        ``.csv``, ``.tsv`` or ``.parquet``; slides are named from its folder on.
    rna
        Measured bulk expression, patients by genes: ``.csv``, ``.tsv``, ``.parquet``, ``.h5ad``.
    text
        A vector of each patient's report, of any model: ``.csv``, ``.tsv``, ``.parquet``, or
        ``.npz`` with ``ids`` and ``vectors``.

    Raises
    ------
    BadCohort
        The table contradicts itself, lacks something, or gives away what is to be predicted.
    BadTable
        No such file.
    """
    source = Path(path)
    frame = read_frame(source)
    named = [column for _, column in columns.roles()]
    require_columns(frame, named, source.name)
    _check_no_row_twice(frame, source.name)
    patient_of_row = _patients(frame, columns, source.name)
    slides = _slides(frame, columns, patient_of_row, source)
    patients = tuple(dict.fromkeys(patient_of_row))
    first = _one_row_each(frame, columns, patient_of_row, source.name)
    time, event = _outcome(first, columns, patients)
    covariates, missing = check_covariates(first, columns.covariates, patients)
    site = _groups(first, columns.site, patients, "site")
    fold = _groups(first, columns.fold, patients, "fold")
    classes = {column: tuple(texts(first[column])) for column in columns.classes}
    notes = [*missing, *check_classes(classes)]
    if time is not None and event is not None:
        check_outcome(time, event, patients)
        check_leaks(covariates, time, event)
    if fold is not None:
        check_folds(fold, event)
    if site is not None:
        notes += site_notes(site, event)
    profiles, genes, rna_notes = bulk_rna(rna, patients)
    vectors, text_notes = report_vectors(text, patients)
    return Cohort(
        name=source.stem,
        patients=patients,
        slides=slides,
        time=time,
        event=event,
        time_unit=columns.time_unit,
        covariates=covariates,
        site=site,
        fold=fold,
        classes=classes,
        rna=profiles,
        rna_genes=genes,
        text=vectors,
        notes=(*notes, *rna_notes, *text_notes),
    )


def _check_no_row_twice(frame: pd.DataFrame, name: str) -> None:
    again = np.flatnonzero(frame.astype(object).astype(str).duplicated().to_numpy())
    if len(again):
        alike = (frame.astype(object).astype(str) == frame.astype(str).iloc[again[0]]).all(axis=1)
        raise BadCohort(
            f"Rows {int(np.flatnonzero(alike)[0]) + 1} and {again[0] + 1} below the header of "
            f"{name} are alike in every column; remove one of them."
        )


def _patients(frame: pd.DataFrame, columns: CohortColumns, name: str) -> list[str]:
    """The patient of each row."""
    if columns.patient is None:
        return [str(i + 1) for i in range(len(frame))]
    found = []
    for row, patient in enumerate(texts(frame[columns.patient]), start=1):
        if patient is None:
            raise BadCohort(
                f"Row {row} below the header of {name} names no patient ({columns.patient!r}); "
                f"fill it in, so that slides of one patient stay together."
            )
        found.append(patient)
    if columns.slide is None and len(set(found)) < len(found):
        twice = next(p for p in found if found.count(p) > 1)
        raise BadCohort(
            f"The patient {twice} stands in several rows of {name}, which names no slides; keep "
            f"one row, or name the column of slides (--slide)."
        )
    return found


def _slides(
    frame: pd.DataFrame, columns: CohortColumns, patients: list[str], source: Path
) -> tuple[CohortSlide, ...]:
    if columns.slide is None:
        return ()
    places = texts(frame[columns.slide])
    without = [p for p, place in zip(patients, places, strict=True) if place is None]
    if without:
        raise BadCohort(
            f"{counted(len(without), 'row')} of {source.name} without a slide (of "
            f"{shown(without)}); give their slides, or remove the rows: all arms are compared on "
            f"the same patients."
        )
    mpp = _pixel_sizes(frame, columns)
    rois = [None] * len(frame) if columns.rois is None else texts(frame[columns.rois])
    resolved = [_resolved(str(place), source.parent) for place in places]
    names = [shown_name(place) for place in resolved]
    slides = tuple(
        CohortSlide(
            # Scanners call every slide of a folder alike; the place tells such apart.
            name=name if names.count(name) == 1 else str(place),
            place=where,
            patient=patient,
            mpp=size,
            rois=None if roi is None else _resolved(roi, source.parent),
        )
        for name, place, where, patient, size, roi in zip(
            names, places, resolved, patients, mpp, rois, strict=True
        )
    )
    _check_no_place_twice(slides)
    return slides


def _resolved(place: str, folder: Path) -> str:
    return place if is_remote(place) else str((folder / place).resolve())


def _check_no_place_twice(slides: tuple[CohortSlide, ...]) -> None:
    before: dict[str, CohortSlide] = {}
    for slide in slides:
        other = before.setdefault(slide.place, slide)
        if other is slide:
            continue
        if other.patient != slide.patient:
            raise BadCohort(
                f"The slide {slide.name} is given for the patients {other.patient} and "
                f"{slide.patient}; whose is it? One patient in two folds would leak."
            )
        raise BadCohort(
            f"The slide {slide.name} is given twice for the patient {slide.patient}; remove a row."
        )


def _pixel_sizes(frame: pd.DataFrame, columns: CohortColumns) -> list[float | None]:
    if columns.mpp is None:
        return [None] * len(frame)
    values = numbers(frame[columns.mpp])
    if values is None or (values <= 0).any() or np.isinf(values).any():
        raise BadCohort(
            f"{columns.mpp!r} must hold µm/px above 0, or nothing where a slide states it; correct "
            f"the column."
        )
    return [None if np.isnan(value) else float(value) for value in values]


def _one_row_each(
    frame: pd.DataFrame, columns: CohortColumns, patients: list[str], name: str
) -> pd.DataFrame:
    """The columns of patients, a row for each; all rows of one must agree."""
    own = frame[list(columns.of_patient)].set_axis(pd.Index(patients, dtype=object), axis=0)
    for column in columns.of_patient:
        said = pd.Series(texts(own[column]), index=own.index, dtype=object)
        kinds = said.groupby(level=0, sort=False).agg(lambda v: len(set(v)))
        if (kinds > 1).any():
            patient = str(kinds[kinds > 1].index[0])
            values = shown(sorted({str(v or "nothing") for v in said.loc[[patient]]}))
            what = "is in two folds" if column == columns.fold else "has two values"
            if column in (columns.time, columns.event):
                what = "has two outcomes"
            raise BadCohort(
                f"The patient {patient} {what} in {name}: {column!r} is {values}; make all rows "
                f"of a patient say the same."
            )
    return own[~own.index.duplicated()]


def _outcome(
    first: pd.DataFrame, columns: CohortColumns, patients: tuple[str, ...]
) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.bool_] | None]:
    if columns.time is None or columns.event is None:
        return None, None
    time = numbers(first[columns.time])
    if time is None:
        raise BadCohort(
            f"{columns.time!r} must hold numbers, but {_no_number(first[columns.time])!r} is none; "
            f"write times such as 12.5 with a point."
        )
    seen: list[bool] = []
    for patient, told in zip(patients, texts(first[columns.event]), strict=True):
        if told is None or told.lower() not in _TRUTHS:
            raise BadCohort(
                f"The event of patient {patient} is {told or 'missing'!r}; write 1 where it was "
                f"seen and 0 where the patient was followed until then without it."
            )
        seen.append(_TRUTHS[told.lower()])
    return time, np.array(seen, np.bool_)


def _groups(
    first: pd.DataFrame, column: str | None, patients: tuple[str, ...], what: str
) -> tuple[str, ...] | None:
    if column is None:
        return None
    found = texts(first[column])
    without = [p for p, value in zip(patients, found, strict=True) if value is None]
    if without:
        raise BadCohort(
            f"{column!r} has no {what} for {counted(len(without), 'patient')} "
            f"({shown(without)}); fill it in."
        )
    return tuple(str(value) for value in found)


def _no_number(column: pd.Series) -> str:
    """The first value that is no number."""
    wrong = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
    return str(wrong.iloc[0])

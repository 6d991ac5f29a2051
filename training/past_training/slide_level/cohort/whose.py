"""One slide belongs to one patient, whatever it is called: found out by what it shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.slide.thumbprint import FIELDS, LEVELS, SAME
from past_training.slide_level.cohort.cohort import CohortSlide
from past_training.slide_level.cohort.errors import BadCohort


def check_whose(slides: Sequence[CohortSlide], thumbprints: Sequence[str]) -> list[str]:
    """Notes on slides of one patient that are one; raises where they are of two.

    Parameters
    ----------
    slides
        With their fingerprints, where they are known.
    thumbprints
        Of each slide, as `napari_past.slide.thumbprint` makes them; empty of a table of cells.

    Raises
    ------
    BadCohort
        The same H&E, or the same tissue in another file, under two patients; or the same H&E twice
        under one, whose cells would count twice.
    """
    notes: list[str] = []
    first_of: dict[str, CohortSlide] = {}
    for slide in slides:
        other = first_of.setdefault(slide.fingerprint, slide) if slide.fingerprint else slide
        if other is slide:
            continue
        if other.patient != slide.patient:
            raise _two_patients(other, slide, "are the same H&E")
        if not (other.is_table and slide.is_table):
            raise BadCohort(
                f"{other.name} and {slide.name} of the patient {slide.patient} are the same H&E, "
                f"so its cells would count twice; remove a row."
            )
        notes.append(f"{other.name} and {slide.name} hold cells of the same H&E.")
    for i, j in alike(thumbprints):
        a, b = slides[i], slides[j]
        if a.patient != b.patient:
            raise _two_patients(a, b, "show the same tissue")
        if a.fingerprint != b.fingerprint:
            notes.append(f"{a.name} and {b.name} of the patient {a.patient} show the same tissue.")
    return notes


def _two_patients(a: CohortSlide, b: CohortSlide, what: str) -> BadCohort:
    return BadCohort(
        f"{a.name} of the patient {a.patient} and {b.name} of the patient {b.patient} {what}; "
        f"correct whose it is: one patient in two folds would leak."
    )


def alike(thumbprints: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs i < j of which `napari_past.slide.thumbprint.same_tissue` says yes; those that are
    empty are of no pair.

    One product of matrices for each way up: a thousand slides are half a million pairs.
    """
    places = [i for i, text in enumerate(thumbprints) if text]
    if len(places) < 2:
        return []
    digits = [[int(digit, LEVELS) for digit in thumbprints[i]] for i in places]
    fields = np.array(digits, np.float64).reshape(-1, FIELDS, FIELDS)
    rows = _unit(fields)
    same = np.zeros((len(places), len(places)), np.bool_)
    for turns in range(4):
        for turned in (fields, fields[:, :, ::-1]):
            same |= rows @ _unit(np.rot90(turned, turns, axes=(1, 2))).T >= SAME
    i, j = np.nonzero(np.triu(same | same.T, 1))
    return [(places[a], places[b]) for a, b in zip(i.tolist(), j.tolist(), strict=True)]


def _unit(fields: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows (n, f) without their mean, of length 1, so that a product is a correlation."""
    rows = fields.reshape(len(fields), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(length > 0, rows / np.where(length > 0, length, 1), 0)

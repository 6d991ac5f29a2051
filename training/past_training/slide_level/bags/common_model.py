"""The one model that gave all vectors, and whether it was trained on these patients."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.model import Model
from napari_past.model.patient import patient_digest
from napari_past.model.traces import TrainingTraces
from past_training.slide_level.bags.look import Seen
from past_training.slide_level.bags.prepared import ModelIdentity
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.cohort.table import counted, shown
from past_training.slide_level.cohort.whose import alike


def common_model(
    seen: Sequence[Seen], chosen: ModelIdentity | None, known: Sequence[str]
) -> tuple[ModelIdentity, list[str]]:
    """The one model of all vectors, and what is to be minded of it.

    Parameters
    ----------
    chosen
        That encodes the pictures, or reads the tables' vectors; None where neither is wanted.
    known
        Its SHA-256, and those that it had before it was calibrated.

    Raises
    ------
    BadCohort
        Vectors of several models, which cannot be compared.
    """
    tables = [one for one in seen if one.model is not None]
    told = {one.model.sha256: one for one in tables if one.model is not None and one.model.sha256}
    dims = {one.model.embed_dim: one for one in tables if one.model is not None}
    if chosen is None:
        if len(told) > 1 or len(dims) > 1:
            first, second = list((told if len(told) > 1 else dims).values())[:2]
            raise _models(first, _of(first), second.slide.name, _of(second))
        any_model = next(one.model for one in (*told.values(), *tables) if one.model is not None)
        model = any_model
    else:
        model = chosen
        for one in told.values():
            if one.model is not None and one.model.sha256 not in known:
                raise _models(one, _of(one), "the cohort", chosen.name)
        for dim, one in dims.items():
            if dim != chosen.embed_dim:
                raise _models(one, f"{dim} numbers", "the cohort", f"{chosen.embed_dim} numbers")
    untold = sum(one.model is not None and not one.model.sha256 for one in tables)
    notes = []
    if untold:
        notes.append(
            f"{counted(untold, 'table')} without a word on which model gave the vectors; that "
            f"it is {model.name or 'the same'} was not checked."
        )
    return model, notes


def _of(one: Seen) -> str:
    assert one.model is not None, "asked of tables alone"
    return (
        f"{one.model.name or 'an unnamed model'} ({one.model.sha256[:12] or one.model.embed_dim})"
    )


def _models(one: Seen, its: str, other: str, others: str) -> BadCohort:
    return BadCohort(
        f"The vectors of {one.slide.name} are of {its}, those of {other} of {others}; vectors of "
        f"two models cannot be compared: encode all slides with one."
    )


def seen_in_training(seen: Sequence[Seen], model: Model) -> list[str]:
    """A note where the model was trained on slides, or other tissue, of patients of the cohort.

    Known again are H&E files by their content, the same tissue by what it looks like, and patients
    by their names; a piece that was cut out of a slide is not.
    """
    traces = TrainingTraces.of(model.card)
    known = [*traces.thumbprints]
    prints = [*known, *(one.thumbprint for one in seen)]
    like = {j - len(known) for i, j in alike(prints) if i < len(known) <= j}
    names = [
        one.slide.patient
        for i, one in enumerate(seen)
        if one.slide.fingerprint in traces.images
        or i in like
        or patient_digest(one.slide.patient) in traces.patients
    ]
    patients = list(dict.fromkeys(names))
    if not patients:
        return []
    return [
        f"{model.name} was trained on tissue of {counted(len(patients), 'patient')} of the cohort "
        f"({shown(patients)}), or of patients of the same name: whatever is measured on them "
        f"flatters it."
    ]

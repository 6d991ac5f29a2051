"""Whether tissue is the same again: among what something was trained on, or among itself."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.errors import PastError
from napari_past.model.patient import patient_digest
from napari_past.model.traces import TrainingTraces
from napari_past.slide.thumbprint import same_tissue
from napari_past.spatial.section import UNKNOWN_PATIENT
from napari_past.validation.tissue import Tissue


class SeenTissue(PastError):
    """The predictor was trained on the very tissue; whoever insists may validate all the same."""


def seen_sections(tissues: Sequence[Tissue], traces: TrainingTraces) -> tuple[str, ...]:
    """Names of the sections whose H&E is among the training images.

    The very file is known by its content, the same tissue in another format, or another way up, by
    what it looks like. A piece that was cut out of a training slide is not known again.
    """
    return tuple(tissue.section.name for tissue in tissues if _seen(tissue, traces))


def seen_patients(tissues: Sequence[Tissue], traces: TrainingTraces) -> tuple[str, ...]:
    """Names of patients of whom other tissue was trained on, each once; by their names alone, so
    that another patient of the same name counts too."""
    names = dict.fromkeys(tissue.section.patient for tissue in tissues)
    return tuple(
        name
        for name in names
        if name != UNKNOWN_PATIENT and patient_digest(name) in traces.patients
    )


def same_slides(tissues: Sequence[Tissue]) -> tuple[int, ...]:
    """The place of the first tissue on the same H&E, for each: in the same file, in another
    format, or another way up. A piece that was cut out of another slide is not known again."""
    first: list[int] = []
    for i, tissue in enumerate(tissues):
        first.append(next((first[k] for k in range(i) if _one_slide(tissues[k], tissue)), i))
    return tuple(first)


def _one_slide(a: Tissue, b: Tissue) -> bool:
    return a.fingerprint == b.fingerprint or same_tissue(a.thumbprint, b.thumbprint)


def _seen(tissue: Tissue, traces: TrainingTraces) -> bool:
    if tissue.fingerprint in traces.images:
        return True
    if not traces.thumbprints:
        return False
    return any(same_tissue(tissue.thumbprint, other) for other in traces.thumbprints)

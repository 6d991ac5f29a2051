"""Whether something was trained on the tissue that it is to be validated on."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.errors import PastError
from napari_past.model.patient import patient_digest
from napari_past.model.traces import TrainingTraces
from napari_past.slide.thumbprint import same_tissue, thumbprint
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


def _seen(tissue: Tissue, traces: TrainingTraces) -> bool:
    if tissue.fingerprint in traces.images:
        return True
    if not traces.thumbprints:
        return False
    look = thumbprint(tissue.slide)
    return any(same_tissue(look, other) for other in traces.thumbprints)

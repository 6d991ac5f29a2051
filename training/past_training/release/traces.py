"""What a model keeps of the sections that it was trained on."""

from __future__ import annotations

from collections.abc import Iterable

from napari_past.model.patient import patient_digest
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.spatial.section import UNKNOWN_PATIENT
from past_training.dataset.schema import SectionRecord


def traces_of(records: Iterable[SectionRecord]) -> TrainingTraces:
    """The traces of sections of a dataset; of nobody in particular no patient is kept."""
    found = NO_TRACES
    for record in records:
        told = record.patient != UNKNOWN_PATIENT
        found |= TrainingTraces(
            (record.fingerprint,),
            (record.thumbprint,) if record.thumbprint else (),
            (patient_digest(record.patient),) if told else (),
        )
    return found

"""Tissue that something was trained on is known again: the file, its copies, the patient."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from napari_past.model.patient import patient_digest
from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.sample import draw_phantom
from napari_past.slide import slide_of_array
from napari_past.slide.thumbprint import thumbprint
from napari_past.spatial.section import UNKNOWN_PATIENT, MeasuredSection
from napari_past.validation.seen import seen_patients, seen_sections
from napari_past.validation.tissue import Tissue, tissue_of


def tissue(tmp_path, name: str, seed: int, patient: str) -> Tissue:
    slide = slide_of_array(draw_phantom(400, 300, 1.0, seed).rgb, 1.0)
    section = MeasuredSection(
        name, patient, "human", "", "ST", tmp_path / f"{name}.tif", 1.0, ("a", "b"),
        np.array([[100.0, 100], [200, 200]]), csr_array(np.ones((2, 1), np.float32)), ("EPCAM",),
        55.0,
    )  # fmt: skip
    return tissue_of(section, slide, f"{seed:064d}")


@pytest.fixture
def tissues(tmp_path) -> list[Tissue]:
    return [tissue(tmp_path, "A", 1, "P"), tissue(tmp_path, "B", 2, UNKNOWN_PATIENT)]


def test_by_the_file_or_by_what_it_looks_like(tissues):
    assert seen_sections(tissues, NO_TRACES) == ()
    assert seen_sections(tissues, TrainingTraces(images=("x", f"{2:064d}"))) == ("B",)
    again = thumbprint(slide_of_array(draw_phantom(400, 300, 1.0, 1).rgb[::-1].copy(), 0.5))
    assert seen_sections(tissues, TrainingTraces(thumbprints=(again,))) == ("A",)


def test_patients_by_name_and_never_nobody(tissues):
    known = TrainingTraces(patients=(patient_digest(" P "), patient_digest(UNKNOWN_PATIENT)))
    assert seen_patients(tissues, known) == ("P",)
    assert seen_patients(tissues, NO_TRACES) == ()


def test_traces_join():
    one = TrainingTraces(("a",), ("t",), ("p",)) | TrainingTraces(("b", "a"), (), ("q",))
    assert one == TrainingTraces(("a", "b"), ("t",), ("p", "q"))

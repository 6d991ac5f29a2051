"""A slide that is too coarse for a model is told, others are not."""

from __future__ import annotations

import numpy as np

from napari_past.model import load_model
from napari_past.validation.model_notes import model_notes


def test_coarse_slides_are_told(at, tiny_model_file):
    part = at(np.array([[100.0, 100.0], [300.0, 300.0]]), np.ones((2, 1)), ["ERBB2"])
    model = load_model(tiny_model_file, "cpu")  # reads 0.5 µm/px; the slide has 4
    (note,) = model_notes(model, [part])
    assert "array has 4 µm/px, coarser than the 0.5 µm/px that tiny reads" in note
    fine = part.slide.with_mpp(0.7)
    assert (
        model_notes(model, [type(part)(part.section, fine, part.fingerprint, part.rows, 2)]) == ()
    )

"""Slides that look unlike the training tissue are flagged as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.model import load_model

CELLS = 2000


@pytest.fixture(scope="module")
def model():
    return load_model("past-mini")


@pytest.fixture(scope="module")
def training_like(model):
    """Cells drawn from the training statistics: their mean and whitened spread."""
    like = model._training_tissue.like
    whitening = like.whitening
    spread = np.linalg.pinv(whitening)
    white = np.random.default_rng(0).standard_normal((CELLS, whitening.shape[1]))
    return (like.mean + white @ spread).astype(np.float16)


def test_cells_like_those_of_the_training_are_not_flagged(model, training_like):
    distance = model.slide_unlike_training(training_like)
    assert distance < 0.05
    assert model.slide_unlike_sentence(distance) == ""


def test_a_small_shift_of_all_cells_flags_the_slide_though_hardly_a_cell(model, training_like):
    spread = np.linalg.pinv(model._training_tissue.like.whitening)
    limit = model.card.slide_unlike_limit
    shifted = training_like + np.sqrt(2 * limit) * spread[0]
    distance = model.slide_unlike_training(shifted)
    # The square of so many standard deviations is twice the limit.
    assert distance == pytest.approx(2.0, rel=0.1)
    assert (model.unlike_training(shifted) > 1).mean() < 0.1
    told = model.slide_unlike_sentence(distance)
    assert "past-mini" in told
    assert "2.0 times the limit" in told
    assert "fresh frozen" in told


def test_sampling_alone_does_not_flag_a_small_slide(model, training_like):
    assert model.slide_unlike_training(training_like[:300]) < 0.3


def test_too_few_cells_tell_nothing(model, training_like):
    distance = model.slide_unlike_training(training_like[:299])
    assert np.isnan(distance)
    assert model.slide_unlike_sentence(distance) == ""

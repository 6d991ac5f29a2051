"""Figures of a student beside its teacher, by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_past import load_model
from napari_past.model import Model
from past_training.release.distill_figures import Speed, agreement


@pytest.fixture(scope="module")
def model(tiny_model_file: Path) -> Model:
    return load_model(tiny_model_file, "cpu")


@pytest.fixture(scope="module")
def vectors() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    taught = rng.normal(size=(200, 16)).astype(np.float16)
    return taught, (taught + 0.5 * rng.normal(size=(200, 16))).astype(np.float16)


def test_the_same_vectors_agree(model, vectors):
    taught, _ = vectors
    found = agreement("s", model, model, taught, taught, np.ones(16))
    assert [found.cosine, found.cosine_low, found.explained, found.gene_r] == pytest.approx([1] * 4)
    assert found.constant_cosine < 0.2
    assert found.flagged is not None
    assert found.flagged[0] == found.flagged[1]
    assert all(m.r == pytest.approx(1) for m in found.markers)
    assert [m.teacher_score for m in found.markers if m.label.startswith("ERBB2")] == [
        m.student_score for m in found.markers if m.label.startswith("ERBB2")
    ]


def test_figures_by_an_independent_way(model, vectors):
    taught, learned = (v.astype(np.float64) for v in vectors)
    mean = np.arange(16.0)
    found = agreement("s", model, model, *vectors, mean)
    cosine = [np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
              for a, b in zip(taught, learned, strict=True)]  # fmt: skip
    assert found.cells == 200
    assert found.cosine == pytest.approx(np.mean(cosine))
    assert found.cosine_low == pytest.approx(np.percentile(cosine, 10))
    constant = [np.dot(a, mean) / np.linalg.norm(a) / np.linalg.norm(mean) for a in taught]
    assert found.constant_cosine == pytest.approx(np.mean(constant))
    error = np.sum((taught - learned) ** 2) / np.sum((taught - taught.mean(0)) ** 2)
    assert found.explained == pytest.approx(1 - error, rel=1e-4)
    r = [
        np.corrcoef(*(model.expression(v, [gene])[:, 0] for v in vectors))[0, 1]
        for gene in model.genes
    ]
    assert found.genes == len(model.genes)
    assert found.gene_r == pytest.approx(np.median(r), abs=1e-5)
    assert found.gene_r_low == pytest.approx(np.percentile(r, 10), abs=1e-5)


def test_scores_by_the_same_cutoffs(model, vectors):
    found = agreement("s", model, model, *vectors, np.ones(16))
    her2 = next(m for m in found.markers if "HER2" in m.label)
    scores = []
    for v in vectors:
        value = model.expression(v, ["ERBB2"])[:, 0]
        # The tiny card's cut-offs are −0.5, 0 and 0.5.
        scores.append(100 * np.mean(np.searchsorted([-0.5, 0.0, 0.5], value, side="right")))
    assert (her2.teacher_score, her2.student_score) == pytest.approx(tuple(scores))
    epcam = next(m for m in found.markers if m.label.startswith("EPCAM"))
    assert np.isnan([epcam.teacher_score, epcam.student_score]).all(), "it has no cut-offs"


def test_a_teacher_without_a_read_out_or_statistics(model, vectors):
    card = model.card.model_copy(
        update={
            "genes": (),
            "cutoffs": {},
            "evidence": model.card.evidence.model_copy(update={"r": {}, "detected": {}}),
            "unlike_training_limit": None,
            "slide_unlike_limit": None,
        }
    )
    bare = Model(card, {}, sha256="", path="", device="cpu")
    found = agreement("s", bare, bare, *vectors, np.ones(16))
    assert found.genes == 0
    assert np.isnan([found.gene_r, found.gene_r_low]).all()
    assert (found.markers, found.flagged, found.projected_cosine) == ((), None, None)
    assert found.cosine > 0.5


def test_the_ratio():
    speed = Speed("CPU", 1, 10, teacher=20.0, student=500.0)
    assert speed.ratio == 25
    assert dataclasses.replace(speed, student=10.0).ratio == 0.5

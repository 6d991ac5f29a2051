"""Recall with its gallery."""

from __future__ import annotations

import numpy as np
import pytest

from past_training.evaluation.retrieval import recall_at, retrieval

SIMILARITY = np.array(
    [
        [0.9, 0.1, 0.2, 0.0],  # first
        [0.8, 0.7, 0.1, 0.0],  # second
        [0.5, 0.5, 0.4, 0.5],  # last
        [0.1, 0.3, 0.6, 0.6],  # shares the first place
    ]
)


@pytest.mark.parametrize(
    ("k", "found"), [(1, (1 + 0 + 0 + 0.5) / 4), (2, (1 + 1 + 0 + 1) / 4), (3, 0.75), (4, 1.0)]
)
def test_recall_by_hand(k, found):
    assert recall_at(SIMILARITY, k) == pytest.approx(found)


def test_recall_of_a_constant_is_chance():
    assert recall_at(np.zeros((20, 20)), 5) == 5 / 20


@pytest.mark.parametrize("similarity", [np.zeros((2, 3)), np.zeros((0, 0))])
def test_only_square_similarities(similarity):
    with pytest.raises(ValueError, match="square"):
        recall_at(similarity, 1)


def test_retrieval_of_profiles():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(120, 30)).astype(np.float32)
    near = retrieval(measured + 0.1 * rng.normal(size=measured.shape), measured)
    assert near.gallery == 120
    assert near.recall == {1: 1.0, 10: 1.0, 50: 1.0}
    lost = retrieval(rng.normal(size=measured.shape), measured)
    assert lost.recall[10] == pytest.approx(lost.chance(10), abs=0.08)
    assert lost.chance(50) == 50 / 120
    flat = retrieval(np.ones_like(measured), measured)
    assert flat.recall == {k: pytest.approx(flat.chance(k)) for k in (1, 10, 50)}


def test_what_all_rows_share_finds_nobody():
    """The mean profile is alike for all; only what differs between rows counts."""
    rng = np.random.default_rng(0)
    measured = (rng.normal(size=(60, 30)) + 50 * rng.normal(size=30)).astype(np.float32)
    predicted = np.tile(measured.mean(0), (60, 1)) + 1e-3 * rng.normal(size=(60, 30))
    found = retrieval(predicted.astype(np.float32), measured)
    assert found.recall[10] == pytest.approx(10 / 60, abs=0.12)


def test_large_galleries_are_drawn_from():
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(2300, 4)).astype(np.float32)
    found = retrieval(measured, measured)
    assert found.gallery == 2000
    assert found.recall[1] == 1.0

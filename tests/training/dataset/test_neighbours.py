"""Rows that lie near each other."""

from __future__ import annotations

import itertools

import numpy as np

from past_training.dataset import neighbours
from past_training.dataset.neighbours import near_rows, reordered


def as_lists(ragged):
    start, index = ragged
    return [index[a:b].tolist() for a, b in itertools.pairwise(start)]


def test_nearest_first_and_never_itself():
    places = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 9.1], [0.0, 0.0]])
    assert as_lists(near_rows(places, 5.0)) == [[4, 1, 2], [0, 4, 2], [0, 4, 1], [], [0, 1, 2]]


def test_many_at_once_and_few_at_once_agree(monkeypatch):
    places = np.random.default_rng(0).uniform(0, 100, (300, 2))
    whole = near_rows(places, 12.0)
    away = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(away, np.inf)
    expected = [np.argsort(row)[: (row <= 12).sum()].tolist() for row in away]
    assert as_lists(whole) == expected
    monkeypatch.setattr(neighbours, "_AT_ONCE", 37)
    assert as_lists(near_rows(places, 12.0)) == expected


def test_lists_follow_rows_to_their_new_places():
    lists = np.array([0, 2, 2, 3]), np.array([2, 1, 0])  # 0: [2, 1], 1: [], 2: [0]
    # Row 2 becomes 0, row 0 becomes 1, row 1 becomes 2.
    assert as_lists(reordered(lists, np.array([2, 0, 1]))) == [[1], [0, 2], []]

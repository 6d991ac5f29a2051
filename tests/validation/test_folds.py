"""Nothing that a baseline is fitted on shares a pixel with what it predicts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from napari_past.validation.folds import held_out


def rows(at, n, seed=0, side_um=2000.0, **fields):
    places = np.random.default_rng(seed).uniform(0, side_um, (n, 2))
    return at(places, np.ones((n, 1)), ["A"], **fields)


def leaks(tissues, fold, buffer_um):
    """Pairs of a training row and a held-out row whose squares overlap, row by row."""
    found = 0
    for i, j in itertools.product(range(len(tissues)), repeat=2):
        if tissues[i].fingerprint == tissues[j].fingerprint:
            for a in tissues[i].row_um[fold.train[i]]:
                for b in tissues[j].row_um[fold.held[j]]:
                    dx, dy = np.abs(a - b)
                    found += dx < buffer_um and dy < buffer_um
    return found


def times_held(tissues, folds):
    return [np.sum([fold.held[i] for fold in folds], axis=0).tolist() for i in range(len(tissues))]


@pytest.mark.parametrize("buffer_um", [0.0, 155.0, 300.0])
def test_strips_of_one_section_stay_apart(at, buffer_um):
    tissue = rows(at, 120)
    held = held_out([tissue], buffer_um)
    assert held.by == "strip"
    assert times_held([tissue], held.folds) == [[1] * 120]
    for fold in held.folds:
        assert leaks([tissue], fold, buffer_um) == 0
        assert not (fold.train[0] & fold.held[0]).any()
        assert fold.train[0].sum() >= 30
        # No row is left out without need.
        dropped = np.flatnonzero(~fold.train[0] & ~fold.held[0])
        away = np.abs(tissue.row_um[dropped, None] - tissue.row_um[fold.held[0]]).max(axis=2)
        assert (away.min(axis=1) < buffer_um).all()


def test_narrow_tissue_is_cut_into_more_strips(at):
    """On 2 mm: beyond 520 µm around the second of four strips less than a quarter is left."""
    tissue = rows(at, 200)
    held = held_out([tissue], 520.0)
    assert len(held.folds) == 6
    assert "6 strips" in held.sentence
    assert held_out([tissue], 800.0).folds == ()


def test_patients_go_before_slides(at):
    tissues = [
        rows(at, 30, i, name=name, patient=patient)
        for i, (name, patient) in enumerate([("A", "P"), ("B", "P"), ("C", "Q")])
    ]
    held = held_out(tissues, 155.0)
    assert held.by == "patient"
    assert len(held.folds) == 2
    first = held.folds[0]
    assert [m.all() for m in first.held] == [True, True, False]
    assert [m.all() for m in first.train] == [False, False, True]
    same = held_out(tissues[:2], 155.0)
    assert same.by == "section"
    assert "says nothing of other patients" in same.sentence
    assert times_held(tissues[:2], same.folds) == [[1] * 30] * 2


def test_patients_on_one_slide_keep_the_buffer(at):
    """Cores of a microarray: other patients', but their pixels overlap at the edges."""
    tissues = [
        rows(at, 80, i, side_um=600.0, name=name, patient=name, fingerprint="f" * 64)
        for i, name in enumerate("PQ")
    ]
    away = tissues[1].section.centers_um
    away[:, 0] += 500
    held = held_out(tissues, 155.0)
    assert held.by == "patient"
    for fold in held.folds:
        assert leaks(tissues, fold, 155.0) == 0
    assert 20 <= held.folds[0].train[1].sum() < 80


def test_a_small_slide_does_not_keep_a_large_one_from_being_cut(at):
    """15 rows are too few to be fitted on, and 150 in strips are not."""
    tissues = [rows(at, 150, name="A"), rows(at, 15, 1, name="B", patient="Q")]
    held = held_out(tissues, 155.0)
    assert held.by == "part"
    assert times_held(tissues, held.folds) == [[1] * 150, [1] * 15]
    assert all(leaks(tissues, fold, 155.0) == 0 for fold in held.folds)
    assert held.folds[-1].held[1].all()
    assert "5 parts were held out in turn" in held.sentence
    few = held_out([tissues[1], rows(at, 15, 2, name="C")], 155.0)
    assert few.folds == ()
    assert "whatever is held out" in few.sentence


def test_two_files_of_one_slide_are_held_out_together(at):
    tissues = [rows(at, 60, i, name=name, looks_like="A") for i, name in enumerate("AB")]
    assert held_out(tissues, 155.0).folds == ()
    other = rows(at, 60, 2, name="C")
    held = held_out([*tissues, other], 155.0)
    assert held.by == "section"
    assert [m.all() for m in held.folds[0].held] == [True, True, False]
    assert [m.any() for m in held.folds[0].train] == [False, False, True]


def test_two_measurements_of_one_slide_are_one(at):
    tissues = [rows(at, 60, i, name=name, fingerprint="f" * 64) for i, name in enumerate("AB")]
    held = held_out(tissues, 155.0)
    assert held.by == "strip"
    assert times_held(tissues, held.folds) == [[1] * 60] * 2
    assert all(leaks(tissues, fold, 155.0) == 0 for fold in held.folds)

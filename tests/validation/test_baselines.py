"""What is fitted on a lab's own tissue: nothing of what it predicts, all of what it may."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.errors import Cancelled
from napari_past.validation.colour import WINDOW_UM, colour_statistics, fixed_stains
from napari_past.validation.colour_ridge import ColourRidge, row_colours
from napari_past.validation.fold_ridge import FoldRidge
from napari_past.validation.folds import held_out
from napari_past.validation.metrics import pearson
from napari_past.validation.predictor import NOBODY, Watch
from napari_past.validation.ridge import PENALTIES, fit_ridge
from napari_past.validation.training_mean import TrainingMean

GENES = ("A", "B", "C")


def _ridge(features):
    return FoldRidge(lambda tissue, watch: features)


@pytest.fixture(scope="module")
def tissue(at):
    """A follows x, as the picture's shade does; B and C are noise."""
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1600, (120, 2))
    counts = np.column_stack(
        [rng.poisson(5 + places[:, 0] / 8), rng.poisson(40, 120), rng.poisson(900, 120)]
    )
    return at(places, counts, GENES)


@pytest.fixture(scope="module")
def folds(tissue):
    return held_out([tissue], WINDOW_UM).folds


def test_the_training_mean_is_of_the_rows_beyond_the_buffer(tissue, folds):
    (values,) = TrainingMean().predict([tissue], folds, ("C", "A"), NOBODY)
    measured = tissue.measured(("C", "A"))
    for fold in folds:
        expected = measured[fold.train[0]].mean(axis=0)
        assert np.ptp(values[fold.held[0]], axis=0).tolist() == [0, 0]
        np.testing.assert_allclose(values[fold.held[0]][0], expected, rtol=1e-5)


def test_what_is_held_out_plays_no_part(tissue, folds, at):
    """Counts of held-out rows and of the buffer are changed: their predictions stay."""
    features = np.random.default_rng(1).normal(size=(120, 6)).astype(np.float32)
    features[:, 0] = tissue.row_um[:, 0] / 500
    (before,) = _ridge(features).predict([tissue], folds, GENES, NOBODY)
    fold = folds[1]
    counts = tissue.section.counts.toarray()
    counts[~fold.train[0]] = counts[~fold.train[0]][::-1] * [7, 1, 3]
    changed = at(tissue.row_um, counts, GENES)
    (after,) = _ridge(features).predict([changed], folds, GENES, NOBODY)
    np.testing.assert_array_equal(after[fold.held[0]], before[fold.held[0]])
    assert np.abs(after - before).max() > 0.01  # other folds were fitted on them


def test_each_fold_is_a_ridge_of_its_training_rows(tissue, folds):
    rng = np.random.default_rng(2)
    features = rng.normal(size=(120, 4)).astype(np.float32)
    features[5] = np.nan
    ridge = _ridge(features)
    (values,) = ridge.predict([tissue], folds, GENES, NOBODY)
    assert np.isnan(values[5]).all()
    measured, known = tissue.measured(GENES), np.isfinite(features).all(axis=1)
    assert known.sum() == 119
    for fold in folds:
        train, held = fold.train[0] & known, fold.held[0] & known
        candidates = [
            fit_ridge(features[train], measured[train], penalty).expression(features[held])
            for penalty in PENALTIES
        ]
        assert any(np.allclose(values[held], one, atol=1e-5) for one in candidates)
    # Asked for one gene after the other, the penalty is the same.
    alone = [ridge.predict([tissue], folds, (g,), NOBODY)[0] for g in GENES]
    np.testing.assert_allclose(np.concatenate(alone, axis=1)[known], values[known], atol=1e-5)
    np.testing.assert_allclose(
        _ridge(features).predict([tissue], folds, ("B",), NOBODY)[0][known],
        values[known][:, 1:2],
        atol=1e-5,
    )


def test_colours_are_those_around_the_row(tissue):
    colours = row_colours(tissue, NOBODY)
    assert colours.shape == (120, 40)
    row, mpp = 17, tissue.slide.require_mpp()
    side_px = int(WINDOW_UM / mpp)
    x, y = np.rint(tissue.row_um[row] / mpp - side_px / 2).astype(int)
    crop = np.asarray(tissue.slide.level_arrays[0])[y : y + side_px, x : x + side_px]
    background = tuple(map(float, tissue.slide.background))
    expected = colour_statistics(crop[None], side_px, background, fixed_stains(background))[0]
    np.testing.assert_allclose(colours[row], expected, atol=1e-4)


def test_colours_predict_what_follows_them(tissue, folds):
    shares: list[float] = []
    ridge = ColourRidge()
    (values,) = ridge.predict([tissue], folds, GENES, Watch(on_share=shares.append))
    r = pearson(values, tissue.measured(GENES))
    assert r[0] > 0.35 > abs(r[1])
    assert shares[-1] == 1.0
    assert len(shares) == 120
    ridge.predict([tissue], folds, GENES, Watch(on_share=shares.append))
    assert len(shares) == 120  # pixels are read once


def test_reading_colours_can_be_stopped(tissue, folds):
    with pytest.raises(Cancelled):
        ColourRidge().predict([tissue], folds, GENES, Watch(cancelled=lambda: True))

"""Indices of predicted survival on a case that can be checked by hand.

The golden values of `CASE` were computed once by scikit-survival 0.28 and by torchsurv 0.2, which
agree to 2e-7; no censored time of the training fold ties with an event that is measured.
"""

from __future__ import annotations

import numpy as np
import pytest

from past_training.slide_level.survival.accuracy import brier_scores, dynamic_auc, integrated
from past_training.slide_level.survival.censoring import (
    censoring_curve,
    inverse_weights,
    survival_curve,
)
from past_training.slide_level.survival.concordance import (
    concordance,
    harrell_pairs,
    resampled,
    uno_pairs,
)
from past_training.slide_level.survival.groups import stratified_log_rank
from past_training.slide_level.survival.interval import averaged, resample_counts

TRAIN_TIME = np.array([1, 2, 2, 3, 4, 5, 6, 7, 8, 9.0])
TRAIN_EVENT = np.array([1, 1, 0, 1, 0, 1, 0, 1, 1, 0], bool)
TIME = np.array([1, 2.5, 2.5, 4.5, 4.5, 7, 8.5])
EVENT = np.array([1, 1, 1, 1, 0, 0, 1], bool)
RISK = np.array([3, 2, 3, 1, 1, 2, 0.0])
TIMES = np.array([2.5, 4.5, 6.0])
SURVIVAL = np.exp(-np.outer(np.exp(RISK - 1) / 10, TIMES))
CENSORING = censoring_curve(TRAIN_TIME, TRAIN_EVENT)


def test_harrell_counts_ties_of_risk_half_and_ties_of_events_not_at_all():
    pairs = harrell_pairs(TIME, EVENT)
    # 6 of the first, 4 of either at 2.5, 3 at 4.5 (the censored one at 4.5 included), 0 at the end.
    assert pairs.comparable.sum() == 17
    # 13 are concordant, 3 tied in risk, 1 discordant.
    assert concordance(pairs, RISK) == pytest.approx((13 + 3 / 2) / 17)


@pytest.mark.parametrize(("tau", "golden"), [(4.5, 0.9299007444168736), (5.0, 0.8200982928091052)])
def test_uno_weighs_by_the_training_folds_censoring_and_stops_before_tau(tau, golden):
    weight = inverse_weights(CENSORING, TIME, EVENT)
    assert concordance(uno_pairs(TIME, EVENT, weight, tau), RISK) == pytest.approx(
        golden, abs=1e-12
    )


def test_auc_and_brier_scores_are_those_of_two_libraries():
    auc = dynamic_auc(RISK, TIME, EVENT, CENSORING, TIMES)
    assert auc == pytest.approx([0.95652174, 0.79141104, 0.79141104], abs=1e-8)
    brier = brier_scores(SURVIVAL, TIME, EVENT, CENSORING, TIMES)
    assert brier == pytest.approx([0.10649523, 0.19632537, 0.24452477], abs=1e-8)
    assert integrated(brier, TIMES) == pytest.approx(0.18098805543046356, abs=1e-12)


def test_a_weight_is_the_chance_of_not_being_censored_before_the_event():
    # Of the four patients, one is censored at 2, where another has the event: events come first.
    curve = censoring_curve(np.array([1, 2, 2, 3.0]), np.array([1, 1, 0, 1], bool))
    assert curve.before(np.array([2.0, 2.5])) == pytest.approx([1.0, 0.5])
    weight = inverse_weights(curve, np.array([2.0, 3.0, 3.0]), np.array([True, True, False]))
    assert weight == pytest.approx([1.0, 2.0, 0.0])


def test_times_beyond_the_last_one_give_no_weight_and_no_auc():
    lost = censoring_curve(np.array([1.0, 2.0]), np.array([True, False]))
    assert inverse_weights(lost, np.array([5.0]), np.array([True])) == pytest.approx([0.0])
    assert np.isnan(dynamic_auc(RISK, TIME, EVENT, CENSORING, np.array([0.5, 9.0]))).all()


def test_without_a_comparable_pair_c_is_not_a_number():
    censored = harrell_pairs(np.array([1.0, 2.0]), np.array([False, True]))
    assert not censored.any
    assert np.isnan(concordance(censored, np.array([1.0, 0.0])))


def test_a_resample_counts_pairs_of_patients_and_never_a_patient_with_its_copy():
    pairs = harrell_pairs(TIME, EVENT)
    counts = np.array([[1, 1, 1, 1, 1, 1, 1], [2, 0, 1, 0, 3, 0, 0], [5, 0, 0, 0, 0, 0, 0.0]])
    found = resampled(pairs, RISK, counts)
    assert found[0] == pytest.approx(concordance(pairs, RISK))
    # Patient 0 twice (risk 3) before 2 (tied at 3) and 4 (lower) thrice; 2 before 4 thrice.
    assert found[1] == pytest.approx((2 * 1 * 0.5 + 2 * 3 + 1 * 3) / (2 * 1 + 2 * 3 + 1 * 3))
    assert np.isnan(found[2])


def test_resamples_keep_the_number_of_events():
    counts = resample_counts(EVENT, 50, seed=0)
    assert (counts[:, EVENT].sum(axis=1) == 5).all()
    assert (counts.sum(axis=1) == 7).all()


def test_an_interval_has_twice_the_variance_of_its_resamples_and_leaves_undefined_folds_out():
    drawn = np.random.default_rng(0).normal(0, 0.1, (2, 4000))
    values = np.array([0.1, np.nan, 0.3])
    rows = np.stack((drawn[0], np.full(4000, np.nan), drawn[1]))
    found = averaged(values, rows, np.zeros(3, int), ratio=False)
    assert found.value == pytest.approx(0.2)
    assert found.undefined == 1
    # The mean of two independent folds has variance 0.01 / 2, doubled 0.01.
    assert found.high - found.value == pytest.approx(1.96 * 0.1, rel=0.05)
    # Models fixed: not doubled.
    assert np.ptp(found.bootstrap) / 2 == pytest.approx(1.96 * 0.1 / np.sqrt(2), rel=0.05)


def test_repeats_of_the_folds_narrow_no_interval():
    drawn = np.random.default_rng(0).normal(0.6, 0.05, (1, 1000))
    once = averaged(np.array([0.6]), drawn, np.zeros(1, int), ratio=True)
    again = averaged(np.full(3, 0.6), np.repeat(drawn, 3, axis=0), np.arange(3), ratio=True)
    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    assert 0 < once.low < 0.6 < once.high < 1


def test_survival_curve_by_hand():
    curve = survival_curve(np.array([1, 2, 2, 3.0]), np.array([1, 1, 0, 0], bool))
    assert curve.at(np.array([0.5, 1, 2, 9.0])) == pytest.approx([1, 0.75, 0.5, 0.5])
    assert curve.at_risk.tolist() == [4, 3, 1]


def test_log_rank_of_one_stratum_by_hand_and_strata_add_before_the_square():
    time, event = np.array([1, 2, 3, 4.0]), np.ones(4, bool)
    group = np.array([True, True, False, False])
    # Expected of the group: 2/4, 1/3, 0, 0; variance 1/4 + 2/9.
    one = (2 - 5 / 6) ** 2 / (1 / 4 + 2 / 9)
    assert stratified_log_rank([(time, event, group)]) == pytest.approx(one)
    assert stratified_log_rank([(time, event, group)] * 2) == pytest.approx(2 * one)
    assert stratified_log_rank([(time, event, group), (time, event, ~group)]) < one
    assert np.isnan(stratified_log_rank([(time, event, np.ones(4, bool))]))

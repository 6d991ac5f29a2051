"""What is held out, and that nothing of it is looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from past_training.slide_level.survival.accuracy import brier_scores, dynamic_auc
from past_training.slide_level.survival.arm import FittedCox
from past_training.slide_level.survival.arms import arm_of, usual_arms
from past_training.slide_level.survival.calibrated import calibration
from past_training.slide_level.survival.censoring import censoring_curve, inverse_weights
from past_training.slide_level.survival.concordance import (
    concordance,
    harrell_pairs,
    uno_pairs,
)
from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.cox import RiskSets, baseline_of
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation
from past_training.slide_level.survival.evaluate import Held, evaluate_survival
from past_training.slide_level.survival.fusion_arm import FusionArm
from past_training.slide_level.survival.minded import warnings_of
from past_training.slide_level.survival.protocol import (
    Protocol,
    Split,
    default_tau,
    default_times,
    splits,
)

QUICK = Protocol(folds=3, resamples=100)


def cohort(n: int = 60, seed: int = 0) -> SurvivalData:
    random = np.random.default_rng(seed)
    age, stage = random.normal(60, 10, n), random.choice(["I", "II", "III"], n)
    vectors = random.normal(size=(n, 12)).astype(np.float32)
    hazard = np.exp(0.08 * (age - 60) + 1.2 * vectors[:, 0])
    time, lost = random.exponential(1 / hazard), random.exponential(2, n)
    age[:3] = np.nan
    return SurvivalData(
        tuple(f"p{i}" for i in range(n)),
        np.minimum(time, lost),
        time <= lost,
        pd.DataFrame({"age": age, "stage": stage}),
        mean_vectors=vectors,
        site=tuple(random.choice(["a", "b", "c"], n)),
    )


class Told:
    """An arm that gives the risks it was told, moved by an amount of its own in each fold."""

    name = "told"

    def __init__(self, risk: np.ndarray, moved: float = 0.0) -> None:
        self.risks, self.moved = risk, moved

    def fit(self, data: SurvivalData, train: np.ndarray, seed: int) -> FittedCox:
        sets = RiskSets(data.time[train], data.event[train])
        return FittedCox(self.risks + self.moved * seed, baseline_of(sets, self.risks[train]))


def test_each_patient_is_held_out_once_and_events_are_spread():
    data = cohort()
    made = splits(data, QUICK)
    held = np.concatenate([split.test for split in made])
    assert sorted(held) == list(range(60))
    assert np.ptp([int(data.event[s.test].sum()) for s in made]) <= 1
    assert np.ptp([len(s.test) for s in made]) <= 1
    assert all(not set(s.train) & set(s.test) for s in made)


def test_a_site_is_held_out_whole():
    data = cohort()
    made = splits(data, Protocol(by="sites"))
    assert [s.name for s in made] == ["a", "b", "c"]
    assert data.site is not None
    for split in made:
        assert {data.site[i] for i in split.test} == {split.name}
        assert split.name not in {data.site[i] for i in split.train}


@pytest.mark.parametrize(
    "name", ["clinical", "mean-ridge", "summaries-ridge", "clinical+mean-ridge"]
)
def test_a_held_out_patient_changes_nothing_that_is_fitted(name):
    data = cohort()
    train, test = splits(data, QUICK)[0][2:]
    assert data.mean_vectors is not None
    data = replace(data, summaries=pd.DataFrame(data.mean_vectors.astype(np.float64)))
    data.summaries.loc[[train[0], test[0]], 0] = np.nan
    fitted = arm_of(name).fit(data, train, 0)
    time, event = data.time.copy(), data.event.copy()
    time[test], event[test] = time[test][::-1] * 7, ~event[test]
    assert data.covariates is not None
    covariates, vectors = data.covariates.copy(), data.mean_vectors.copy()
    # All but one of those held out become extreme.
    covariates.loc[test[1:], "age"] = 900.0
    covariates.loc[test[1:], "stage"] = "IV"
    vectors[test[1:]] = 50.0
    summaries = data.summaries.copy()
    summaries.loc[test[1:]] = 50.0
    changed = replace(
        data, time=time, event=event, covariates=covariates, mean_vectors=vectors,
        summaries=summaries,
    )  # fmt: skip
    again = arm_of(name).fit(changed, train, 0)
    same = np.concatenate((train, test[:1]))
    assert again.risk(same) == pytest.approx(fitted.risk(same), abs=1e-10)
    grid = np.array([0.1, 0.5])
    assert again.survival(same, grid) == pytest.approx(fitted.survival(same, grid), abs=1e-10)


def test_imputation_scale_and_levels_are_the_training_folds():
    table = pd.DataFrame({"age": [1.0, 2.0, 9.0, np.nan], "sex": ["f", "f", "m", None], "one": 1.0})
    encoding = fit_encoding(table)
    assert encoding.names == ("age", "sex=m")
    assert "one has one value" in encoding.told[0]
    full = np.array([1, 2, 9, 2.0])
    expected = (full - full.mean()) / full.std()
    assert encoding.encoded(table)[:, 0] == pytest.approx(expected)
    assert encoding.encoded(table)[:, 1].tolist() == [0, 0, 1, 0]
    new = pd.DataFrame({"age": [2.0], "sex": ["x"], "one": [5.0]})
    assert encoding.encoded(new)[0, 1] == 0


def test_scores_of_different_folds_are_never_compared():
    data = cohort()
    risk = np.random.default_rng(5).normal(size=60)
    still = evaluate_survival(data, [Told(risk)], QUICK, details=False).arms[0]
    moved = evaluate_survival(data, [Told(risk, 1e3)], QUICK, details=False).arms[0]
    assert moved.harrell == still.harrell
    assert moved.uno == still.uno


def test_weights_of_censoring_are_the_training_folds():
    data = cohort()
    risk = np.random.default_rng(5).normal(size=60)
    result = evaluate_survival(data, [Told(risk)], QUICK)
    times = np.array(result.times)
    uno, auc, brier = [], [], []
    for _, _, train, test in result.splits:
        time, event = data.time[test], data.event[test]
        lost = censoring_curve(data.time[train], data.event[train])
        weight = inverse_weights(lost, time, event)
        uno.append(concordance(uno_pairs(time, event, weight, result.tau), risk[test]))
        auc.append(dynamic_auc(risk[test], time, event, lost, times))
        curves = Told(risk).fit(data, train, 0).survival(test, times)
        brier.append(brier_scores(curves, time, event, lost, times))
    arm = result.arms[0]
    assert arm.uno.per_fold == pytest.approx(uno)
    assert arm.accuracy is not None
    assert arm.accuracy.auc == pytest.approx(np.mean(auc, axis=0))
    assert arm.accuracy.brier == pytest.approx(np.mean(brier, axis=0))


def test_groups_are_parted_by_the_median_of_the_training_fold():
    data = cohort()
    risk = np.random.default_rng(5).normal(size=60)
    risk[splits(data, QUICK)[0].test] += 3
    result = evaluate_survival(data, [Told(risk, 1e3)], QUICK)
    assert result.arms[0].groups is not None
    for split in result.splits:
        high = risk[split.test] > np.median(risk[split.train])
        assert result.arms[0].groups.high[split.test].tolist() == high.tolist()
    groups = result.arms[0].groups
    assert groups.p_value == pytest.approx(chi2.sf(groups.statistic / 2, 1))


def test_repeats_draw_other_folds_and_patients_count_once_in_groups_and_calibration():
    data = cohort()
    risk = np.random.default_rng(5).normal(size=60)
    results = [evaluate_survival(data, [Told(risk)], replace(QUICK, repeats=n)) for n in (1, 2)]
    tests = [set(split.test) for split in results[1].splits]
    assert not any(test in tests[3:] for test in tests[:3])
    groups = [result.arms[0].groups for result in results]
    assert groups[0].high.tolist() == groups[1].high.tolist()
    assert groups[0].statistic == groups[1].statistic
    once, again = (vars(result.arms[0].calibration) for result in results)
    assert once == again


def test_observed_survival_has_greenwoods_interval():
    # In each quarter one of four patients dies at 1: variance of log S 1 / (4 * 3).
    patients = np.arange(16)
    data = SurvivalData(
        tuple(map(str, patients)), np.where(patients % 4, 3.0, 1.0), patients % 4 == 0
    )
    predicted = np.repeat([0.2, 0.4, 0.6, 0.8], 4)[:, None]
    held = Held(Split("all", 0, patients, patients), np.zeros(16), 0.0, predicted)
    found = calibration(data, [held], np.array([2.0]), np.array([2.0]))
    width = 1.959964 * np.sqrt(1 / 12) / -np.log(0.75)
    assert found.predicted == pytest.approx((0.2, 0.4, 0.6, 0.8))
    assert found.observed == pytest.approx([0.75] * 4)
    assert found.low == pytest.approx([0.75 ** np.exp(width)] * 4, rel=1e-5)
    assert found.high == pytest.approx([0.75 ** np.exp(-width)] * 4, rel=1e-5)


def test_arms_find_what_is_there_and_the_gain_is_over_the_first():
    data = cohort(120)
    arms = [arm_of(name) for name in ("clinical", "mean-ridge", "clinical+mean-ridge")]
    result = evaluate_survival(data, arms, QUICK)
    clinical, mean, both = result.arms
    assert clinical.gain is None
    assert mean.gain is not None
    assert both.gain is not None
    assert mean.harrell.low > 0.5
    assert both.harrell.value > clinical.harrell.value
    differences = np.subtract(both.harrell.per_fold, clinical.harrell.per_fold)
    assert both.gain.value == pytest.approx(differences.mean())
    assert both.accuracy is not None
    assert result.reference is not None
    assert both.accuracy.integrated_brier < result.reference.integrated_brier
    assert both.groups is not None
    assert both.groups.p_value < 0.05
    assert both.calibration is not None
    assert sum(both.calibration.count) == 120
    assert 0.3 < both.calibration.slope < 2.5


def test_right_probabilities_are_called_calibrated():
    random = np.random.default_rng(3)
    risk = random.normal(size=600)
    time = random.exponential(np.exp(-risk))
    data = SurvivalData(tuple(map(str, range(600))), time, np.ones(600, bool))
    good, steep = (
        evaluate_survival(data, [Told(k * risk)], QUICK).arms[0].calibration for k in (1, 2)
    )
    assert good is not None
    assert steep is not None
    assert good.slope == pytest.approx(1, abs=0.12)
    assert steep.slope < 0.7
    assert good.predicted == pytest.approx(good.observed, abs=0.08)


def test_a_fold_without_a_comparable_pair_is_left_out_and_told():
    data = cohort()
    fold = ["one"] * 30 + ["two"] * 29 + ["alone"]
    result = evaluate_survival(
        replace(data, fold=tuple(fold)), [arm_of("clinical")], Protocol(by="column", resamples=100)
    )
    harrell = result.arms[0].harrell
    names = [split.name for split in result.splits]
    assert np.isnan(harrell.per_fold[names.index("alone")])
    assert harrell.value == pytest.approx(np.nanmean(harrell.per_fold))
    told = warnings_of(data, result, None)
    assert any("undefined there" in text and "not counted as 0.5" in text for text in told)
    assert any("events per" in text or "each, fewer than 10" in text for text in told)


def test_a_held_out_outlier_spoils_no_probability():
    data = cohort()
    assert data.covariates is not None
    table = data.covariates.copy()
    table.loc[5, "age"] = 1e9
    arm = evaluate_survival(replace(data, covariates=table), [arm_of("clinical")], QUICK).arms[0]
    assert arm.accuracy is not None
    assert np.isfinite((*arm.accuracy.brier, arm.accuracy.integrated_brier)).all()


def test_covariates_are_joined_by_the_scores_of_several_arms():
    data = cohort(120)
    half = data.mean_vectors.shape[1] // 2
    apart = replace(
        data,
        mean_vectors=data.mean_vectors[:, :half],
        rna=data.mean_vectors[:, half:].astype(np.float64),
    )
    names = ("clinical+mean-ridge", "clinical+rna-ridge", "clinical+mean-ridge+rna-ridge")
    arms = [arm_of(name) for name in names]
    assert [arm.name for arm in arms] == list(names)
    train = np.arange(0, 120, 2)
    image, rna, both = (arm.fit(apart, train, 0).log_hazard for arm in arms)
    # Something of each: with both neither one's score is all there is.
    assert 0.1 < np.corrcoef(image, both)[0, 1] < 1 - 1e-6
    assert 0.1 < np.corrcoef(rna, both)[0, 1] < 1 - 1e-6
    for twice in ("clinical+mean-ridge+mean-ridge", "clinical+clinical"):
        with pytest.raises(BadEvaluation, match="names something twice"):
            arm_of(twice)


def test_scores_are_not_joined_where_one_event_is_fitted_on():
    data = cohort()
    event = np.zeros(60, np.bool_)
    event[:10], event[40] = True, True
    apart = replace(data, event=event, fold=("a",) * 30 + ("b",) * 30)
    given = Protocol(by="column", resamples=100)
    evaluate_survival(apart, [arm_of("mean-ridge")], given)
    with pytest.raises(BadEvaluation, match=r"clinical\+mean-ridge needs two events"):
        evaluate_survival(apart, [arm_of("clinical+mean-ridge")], given)


class Memory:
    """Knows by heart when those that it was fitted on had the event, and of others nothing."""

    name = "memory"

    def fit(self, data: SurvivalData, train: np.ndarray, seed: int) -> FittedCox:
        risk = np.random.default_rng(8).normal(size=len(data))
        risk[train] = -data.time[train]
        sets = RiskSets(data.time[train], data.event[train])
        return FittedCox(risk, baseline_of(sets, np.zeros(len(train))))


class Rescaled:
    """Right risks, in units of its own at each fit."""

    name = "rescaled"

    def __init__(self, *units: float) -> None:
        self.units = list(units)

    def fit(self, data: SurvivalData, train: np.ndarray, seed: int) -> FittedCox:
        assert data.mean_vectors is not None
        unit = self.units.pop(0)
        sets = RiskSets(data.time[train], data.event[train])
        risk = data.mean_vectors[:, 0] * unit + unit
        return FittedCox(risk, baseline_of(sets, np.zeros(len(train))))


def test_scores_joined_to_covariates_are_of_models_that_have_not_seen_the_patient():
    data = cohort()
    train = splits(data, QUICK)[0].train
    pairs = harrell_pairs(data.time[train], data.event[train])
    assert concordance(pairs, Memory().fit(data, train, 0).risk(train)) == 1
    assert concordance(pairs, FusionArm((Memory(),)).fit(data, train, 0).risk(train)) < 0.8


def test_scores_of_inner_models_are_brought_to_one_scale():
    data = cohort()
    train = splits(data, QUICK)[0].train
    same, other = (
        FusionArm((Rescaled(*units),)).fit(data, train, 0)
        for units in ((1, 1, 1, 1), (100, 0.01, 1, 7))
    )
    assert other.risk(train) == pytest.approx(same.risk(train), abs=1e-6)


def test_inner_folds_choose_the_penalty():
    data = cohort(120)
    train = splits(data, QUICK)[0].train
    assert data.mean_vectors is not None
    noise = np.random.default_rng(0).normal(size=(120, 30)).astype(np.float32)
    learned, nothing = (
        arm_of("mean-ridge").fit(replace(data, mean_vectors=vectors), train, 0).risk(train).std()
        for vectors in (data.mean_vectors[:, :1], noise)
    )
    # The strongest penalty would leave 0.04 of what can be learned, the weakest 1.1 of noise.
    assert learned > 0.5
    assert nothing < 0.1


def test_a_score_that_says_nothing_leaves_the_clinical_model_as_it_is():
    data = cohort()
    train = splits(data, QUICK)[0].train
    alone = arm_of("clinical").fit(data, train, 0)
    joined = FusionArm((Told(np.zeros(60)),)).fit(data, train, 0)
    assert joined.risk(train) == pytest.approx(alone.risk(train))
    assert joined.told == alone.told


def test_rna_with_values_below_0_is_no_counts():
    data = cohort()
    train = splits(data, QUICK)[0].train
    counts = np.random.default_rng(0).poisson(20, (60, 6)).astype(np.float32)
    logs = np.log1p(counts)
    risks = [
        arm_of("rna-ridge").fit(replace(data, rna=rna), train, 0).risk(train)
        # A move of all values is taken off again by standardisation.
        for rna in (counts, logs - 9)
    ]
    assert np.ptp(risks[0]) > 0
    assert risks[1] == pytest.approx(risks[0], abs=1e-4)


def test_tau_lies_where_every_training_fold_still_follows():
    time = np.arange(1, 41.0)
    event = time <= 30
    data = SurvivalData(tuple(map(str, range(40))), time, event)
    made = splits(data, QUICK)
    tau = default_tau(data, made)
    assert tau in time[event]
    assert default_times(data, tau)[-1] < tau
    heavy = replace(data, event=time % 2 == 0)
    assert default_tau(heavy, splits(heavy, QUICK)) < 40


@pytest.mark.parametrize(
    ("protocol", "sentence"),
    [
        (Protocol(folds=40), "use fewer folds"),
        (Protocol(by="column"), "tells no folds"),
        (Protocol(tau=1e9), "--tau 1e\\+09 lies outside"),
        (Protocol(tau=1e-6), "--tau 1e-06 does not lie after the first event"),
        (Protocol(times=(1e9,)), "--times 1e\\+09 lies outside"),
        (Protocol(by="sites", repeats=2), "leave --repeats out"),
    ],
)
def test_what_cannot_be_evaluated_is_told(protocol, sentence):
    with pytest.raises(BadEvaluation, match=sentence):
        evaluate_survival(cohort(), [arm_of("clinical")], protocol)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("random-forest", "no arm 'random-forest'"),
        ("network:median:cox", "no arm"),
        ("rna-ridge", "no measured RNA"),
    ],
)
def test_an_arm_that_is_not_there_is_told(name, sentence):
    with pytest.raises(BadEvaluation, match=sentence):
        evaluate_survival(cohort(), [arm_of(name)], QUICK)


def test_usual_arms_are_those_that_the_cohort_allows():
    data = cohort()
    assert usual_arms(data) == ("clinical", "mean-ridge", "clinical+mean-ridge")
    assert usual_arms(replace(data, mean_vectors=None)) == ("clinical",)
    with pytest.raises(BadEvaluation, match="nothing to predict"):
        usual_arms(replace(data, mean_vectors=None, covariates=None))

"""What is held out, and that nothing of it is looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from past_training.slide_level.survival.arm import FittedCox
from past_training.slide_level.survival.arms import arm_of, usual_arms
from past_training.slide_level.survival.covariates import fit_encoding
from past_training.slide_level.survival.cox import RiskSets, baseline_of
from past_training.slide_level.survival.data import SurvivalData
from past_training.slide_level.survival.errors import BadEvaluation
from past_training.slide_level.survival.evaluate import evaluate_survival
from past_training.slide_level.survival.minded import warnings_of
from past_training.slide_level.survival.protocol import (
    Protocol,
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


@pytest.mark.parametrize("name", ["clinical", "mean-ridge", "clinical+mean-ridge"])
def test_a_held_out_patient_changes_nothing_that_is_fitted(name):
    data = cohort()
    train, test = splits(data, QUICK)[0][2:]
    fitted = arm_of(name).fit(data, train, 0)
    time, event = data.time.copy(), data.event.copy()
    time[test], event[test] = time[test][::-1] * 7, ~event[test]
    assert data.covariates is not None
    assert data.mean_vectors is not None
    covariates, vectors = data.covariates.copy(), data.mean_vectors.copy()
    # All but one of those held out become extreme.
    covariates.loc[test[1:], "age"] = 900.0
    covariates.loc[test[1:], "stage"] = "IV"
    vectors[test[1:]] = 50.0
    changed = replace(data, time=time, event=event, covariates=covariates, mean_vectors=vectors)
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

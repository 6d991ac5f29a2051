"""Cox's model against lifelines and against a published one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from past_training.slide_level.survival.clinical_arm import fit_or_rescue
from past_training.slide_level.survival.cox import RiskSets, fit_cox, log_partial_likelihood
from past_training.slide_level.survival.gbsg2 import KNOWN_C, evaluate_gbsg2, gbsg2_data
from past_training.slide_level.survival.hazards import proportional_hazards
from past_training.slide_level.survival.protocol import Protocol, splits


def test_ties_after_efron_by_hand():
    # Two of three patients have the event at time 1; log hazards 0, log 2, log 3.
    sets = RiskSets(np.array([1.0, 1.0, 2.0]), np.array([True, True, False]))
    eta = np.log([1.0, 2.0, 3.0])
    expected = np.log(1 * 2) - np.log(6) - np.log(6 - (1 + 2) / 2)
    assert log_partial_likelihood(sets, eta) == pytest.approx(expected)


@pytest.mark.parametrize("ridge", [0.0, 0.2])
def test_coefficients_errors_and_baseline_are_those_of_lifelines(ridge):
    from lifelines import CoxPHFitter

    random = np.random.default_rng(0)
    x = random.normal(size=(80, 3))
    # lifelines penalises standardised covariates.
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    time = np.ceil(random.exponential(8 * np.exp(-x[:, 0])))
    event = random.random(80) < 0.7
    frame = pd.DataFrame(x, columns=list("abc")).assign(t=time, e=event)
    theirs = CoxPHFitter(penalizer=ridge).fit(frame, "t", "e")
    ours = fit_cox(x, time, event, ridge)
    assert ours.converged
    assert ours.beta == pytest.approx(theirs.params_.to_numpy(), abs=2e-5)
    assert ours.deviation == pytest.approx(theirs.standard_errors_.to_numpy(), abs=2e-5)


def test_baseline_is_breslows():
    # Three patients of log hazard 0 and one of log 3: at the events 6, 5 and then 4 are at risk.
    x = np.array([[0.0], [0.0], [0.0], [np.log(3.0)]])
    time, event = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, False, True])
    fit = fit_cox(x, time, event, ridge=1e9)
    at_risk = np.array([4, 3, 1])
    cumulative = np.cumsum(1 / at_risk)
    assert fit.baseline.cumulative == pytest.approx(cumulative, abs=1e-6)
    survival = fit.baseline.survival(np.log([1.0, 2.0]), np.array([0.5, 1.5, 9.0]))
    steps = np.array([0, cumulative[0], cumulative[2]])
    assert survival == pytest.approx(np.exp(-np.outer([1, 2], steps)), abs=1e-6)


def test_a_covariate_that_separates_is_told_and_does_not_run_away():
    random = np.random.default_rng(1)
    x = random.normal(size=(40, 2))
    time, event = random.exponential(1, 40), np.arange(40) < 20
    x[:, 1] = event
    fit, told = fit_or_rescue(x, time, event, ("age", "stage"))
    assert "stage separates" in told[0]
    assert np.abs(fit.beta).max() < 20
    assert fit_or_rescue(x[:, :1], time, event, ("age",))[1] == ()


@pytest.mark.parametrize(
    "order", [lambda t: -t, lambda t: -np.log(t), lambda t: 40.0 - rankdata(t)]
)
def test_a_covariate_that_orders_the_patients_as_the_time_does_is_told(order):
    # The likelihood grows without end, until sums at risk vanish.
    random = np.random.default_rng(0)
    time, event = random.exponential(1, 40), random.random(40) < 0.6
    x = np.column_stack((random.normal(size=40), order(time)))
    fit, told = fit_or_rescue((x - x.mean(axis=0)) / x.std(axis=0), time, event, ("age", "late"))
    assert len(told) == 1
    assert np.abs(fit.beta).max() < 20
    assert fit.beta[1] > 1


def test_gbsg2_reproduces_the_published_model():
    found = evaluate_gbsg2(Protocol(resamples=100))
    # R's figures are printed to six digits.
    assert found.largest_difference < 1e-4
    for term in found.terms:
        assert term.deviation == pytest.approx(term.known_deviation, rel=1e-5), term.name
    assert found.concordance == pytest.approx(KNOWN_C, abs=5e-7)
    held_out = found.result.arm("clinical").harrell
    # Held out it must be worse than on its own patients, and no chance result.
    assert 0.6 < held_out.low < held_out.value < KNOWN_C


def test_proportional_hazards_of_gbsg2_are_those_of_lifelines():
    data = gbsg2_data()
    found = proportional_hazards(data, splits(data, Protocol(folds=2)))
    assert found is not None
    assert found.tested == 2
    p = dict(zip(found.terms, found.p_values, strict=True))
    # R and lifelines: chi-square 2.43355 and 0.119788 with one degree of freedom.
    assert p["age"] == pytest.approx(0.11877, abs=0.03)
    assert p["horTh=yes"] == pytest.approx(0.729, abs=0.1)
    assert found.violated == ()

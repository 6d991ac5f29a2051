"""Count losses against scipy, and means that are taken before the logarithm."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from past_training.objectives import (
    expected_counts,
    log1p_mse,
    negative_binomial_nll,
    poisson_nll,
    row_rates,
)

RATES = torch.tensor([[10.0, 0.5, 300.0], [2.0, 40.0, 1.0]], dtype=torch.float64)
COUNTS = torch.tensor([[3.0, 0.0, 21.0], [0.0, 7.0, 1.0]], dtype=torch.float64)
TOTAL = torch.tensor([800.0, 2500.0], dtype=torch.float64)
MEAN = RATES.numpy() * TOTAL.numpy()[:, None] / 1e4


def test_row_rates():
    rates = torch.tensor([[1.0, 0.0], [3.0, 4.0], [5.0, 6.0]])
    rows = row_rates(rates, torch.tensor([2, 0, 2]), 3)
    assert rows.tolist() == [[3, 4], [0, 0], [3, 3]]


def test_half_precision_does_not_stop_adding():
    """bfloat16 has 8 bits: 1000 ones added one by one would stay at 256."""
    rates = torch.ones(1000, 1, dtype=torch.bfloat16)
    assert float(row_rates(rates, torch.zeros(1000, dtype=torch.int64), 1)) == 1


def test_expected_counts_follow_the_library():
    assert expected_counts(torch.tensor([[25.0]]), torch.tensor([4000.0])).tolist() == [[10]]


def test_poisson():
    expected = -stats.poisson.logpmf(COUNTS.numpy(), MEAN).mean()
    assert float(poisson_nll(RATES, COUNTS, TOTAL)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("theta", [0.3, 1.0, 25.0])
def test_negative_binomial(theta):
    expected = -stats.nbinom.logpmf(COUNTS.numpy(), theta, theta / (theta + MEAN)).mean()
    log_theta = torch.full((3,), math.log(theta), dtype=torch.float64)
    loss = negative_binomial_nll(RATES, COUNTS, TOTAL, log_theta)
    assert float(loss) == pytest.approx(expected, rel=1e-9)


def test_negative_binomial_becomes_poisson():
    log_theta = torch.full((3,), 18.0, dtype=torch.float64)
    loss = negative_binomial_nll(RATES, COUNTS, TOTAL, log_theta)
    assert float(loss) == pytest.approx(float(poisson_nll(RATES, COUNTS, TOTAL)), rel=1e-6)


def test_dispersion_is_learnt():
    """Counts of inverse dispersion 2, rates known: maximum likelihood finds it."""
    rng = np.random.default_rng(0)
    counts = torch.tensor(rng.negative_binomial(2, 2 / (2 + 5.0), (4000, 1)), dtype=torch.float64)
    log_theta = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_theta], max_iter=30)
    total = torch.full((4000,), 1e4, dtype=torch.float64)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = negative_binomial_nll(torch.full_like(counts, 5.0), counts, total, log_theta)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert math.exp(log_theta.item()) == pytest.approx(2, rel=0.1)


def test_log1p_mse():
    """Row 0: rate e − 1 against nothing counted (1); row 1: 5 of 5000 are 10 per 10k (0)."""
    rates = torch.tensor([[math.e - 1], [10.0]])
    counts, total = torch.tensor([[0.0], [5.0]]), torch.tensor([900.0, 5000.0])
    assert float(log1p_mse(rates, counts, total, torch.ones(1))) == pytest.approx(0.5, abs=1e-6)


def test_log1p_mse_counts_genes_alike():
    """Both are off by their own deviation, of 2 and of 0.5: 1 each."""
    rates = torch.tensor([[math.exp(2) - 1, math.exp(0.5) - 1]])
    loss = log1p_mse(rates, torch.zeros(1, 2), torch.tensor([100.0]), torch.tensor([2.0, 0.5]))
    assert float(loss) == pytest.approx(1)


def in_deviations(rates, counts, total, measured=None):
    return log1p_mse(rates, counts, total, torch.ones(counts.shape[1]), measured)


@pytest.mark.parametrize("loss", [poisson_nll, in_deviations])
def test_unmeasured_genes_teach_nothing(loss):
    measured = torch.tensor([[True, False, True], [False, False, True]])
    rates = RATES.clone().requires_grad_()
    value = loss(rates, COUNTS, TOTAL, measured)
    value.backward()
    rows, genes = measured.nonzero(as_tuple=True)
    alone = [
        loss(RATES[r : r + 1, g : g + 1], COUNTS[r : r + 1, g : g + 1], TOTAL[r : r + 1])
        for r, g in zip(rows.tolist(), genes.tolist(), strict=True)
    ]
    assert float(value.detach()) == pytest.approx(float(torch.stack(alone).mean()))
    assert rates.grad is not None
    assert torch.equal(rates.grad != 0, measured)


def test_rates_of_zero_stay_finite():
    rates = torch.zeros(1, 2, requires_grad=True)
    loss = poisson_nll(rates, torch.tensor([[4.0, 0.0]]), torch.tensor([100.0]))
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert rates.grad is not None
    assert bool(torch.isfinite(rates.grad).all())

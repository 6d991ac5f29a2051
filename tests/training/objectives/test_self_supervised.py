"""The variance–invariance–covariance loss and the anchor, by hand."""

from __future__ import annotations

import pytest
import torch

from past_training.objectives import anchor_loss, variance_invariance_covariance_loss

SPREAD = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])


def test_views_that_agree_and_spread_cost_nothing():
    assert float(variance_invariance_covariance_loss(SPREAD, SPREAD)) == 0


def test_views_that_disagree():
    """All dimensions off by 0.5: 25 · 0.25."""
    assert float(variance_invariance_covariance_loss(SPREAD, SPREAD + 0.5)) == pytest.approx(6.25)


def test_a_dimension_that_collapsed():
    """Deviation 0.01 instead of 1 in one of two dimensions: 25 · 0.99 / 2."""
    flat = SPREAD * torch.tensor([1.0, 0.0])
    assert float(variance_invariance_covariance_loss(flat, flat)) == pytest.approx(12.375)


def test_dimensions_that_covary():
    """Covariance 2 off the diagonal, twice, over two dimensions, in both views: 2 · (4 + 4) / 2."""
    line = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert float(variance_invariance_covariance_loss(line, line)) == pytest.approx(8)


def test_one_nucleus_alone():
    one = torch.ones(1, 2)
    assert float(variance_invariance_covariance_loss(one, one + 1)) == 25


def test_anchor_sees_directions():
    """Same, opposite and perpendicular: 0, 2 and 1, whatever the length."""
    frozen = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    trained = torch.tensor([[5.0, 0.0], [-1.0, 0.0], [0.0, 2.0]], requires_grad=True)
    loss = anchor_loss(trained, frozen)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1)
    assert frozen.grad is None
    assert trained.grad is not None

"""Learning rates by hand, and the encoder's share of them from the first step to the last."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from past_training.engine.schedule import adamw, rates, scheduled, warm_up_cosine


def test_factors_by_hand():
    """Four steps up, eight down a half cosine to 0.1, and on."""
    factors = [warm_up_cosine(step, 4, 12, 0.1) for step in range(14)]
    expected = [
        0.25, 0.5, 0.75, 1.0,
        0.965746, 0.868198, 0.722208, 0.55, 0.377792, 0.231802, 0.134254, 0.1, 0.1, 0.1,
    ]  # fmt: skip
    assert factors == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("warm_up", "first"), [(0, 0.5), (1, 1.0)])
def test_short_runs(warm_up, first):
    assert warm_up_cosine(0, warm_up, 2, 0.0) == pytest.approx(first)
    assert warm_up_cosine(1, warm_up, 2, 0.0) == pytest.approx(0)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        self.head = nn.Linear(3, 1)
        self.tau = nn.Parameter(torch.tensor(0.07))


def test_encoder_learns_at_a_tenth_throughout():
    """Upstream set one rate for all groups at its first step."""
    model = Model()
    optimizer = adamw(model, model.encoder, 5e-4, 0.1, 0.02)
    schedule = scheduled(optimizer, 3, 20, 1e-6 / 5e-4)
    seen = []
    for _ in range(20):
        now = rates(optimizer)
        assert now["encoder"] == pytest.approx(0.1 * now["rest"], rel=1e-12)
        seen.append(now["rest"])
        optimizer.step()
        schedule.step()
    assert max(seen) == pytest.approx(5e-4)
    assert seen[-1] == pytest.approx(1e-6)


def test_what_decays():
    model = Model()
    optimizer = adamw(model, model.encoder, 1.0, 0.1, 0.02)
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert {n: decays[id(p)] for n, p in model.named_parameters()} == {
        "tau": 0.0,
        "encoder.0.weight": 0.02,
        "encoder.0.bias": 0.0,
        "encoder.1.weight": 0.0,
        "encoder.1.bias": 0.0,
        "head.weight": 0.02,
        "head.bias": 0.0,
    }


def test_frozen_parameters_are_left_out():
    model = Model()
    model.encoder.requires_grad_(False)
    optimizer = adamw(model, model.encoder, 1.0, 0.1, 0.0)
    assert {group["name"] for group in optimizer.param_groups} == {"rest"}

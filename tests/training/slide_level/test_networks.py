"""Poolings and losses: streamed equals whole, order and padding do not matter, known values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from past_training.slide_level.networks.intervals import Intervals
from past_training.slide_level.networks.linear_attention import LinearAttention
from past_training.slide_level.networks.losses import (
    bulk_loss,
    class_loss,
    contrast_loss,
    cox_loss,
    discrete_loss,
)
from past_training.slide_level.networks.pooling import Pooling
from past_training.slide_level.networks.poolings import POOLINGS, make_pooling
from past_training.slide_level.networks.streamed import stream_pooled
from past_training.slide_level.networks.top_k import rank_weights

DIM, WIDTH, N = 6, 8, 57


@pytest.fixture(params=POOLINGS)
def pooling(request: pytest.FixtureRequest) -> Pooling:
    torch.manual_seed(1)
    made = make_pooling(request.param, DIM, WIDTH, tokens=8, draws=4, clusters=5)
    if isinstance(made, LinearAttention):
        made.set_centroids(torch.randn(5, DIM))
    return made.eval()


@pytest.fixture
def bag() -> torch.Tensor:
    return torch.randn((N, DIM), generator=torch.Generator().manual_seed(2))


def pieces(x: torch.Tensor, size: int) -> Callable[[], tuple[torch.Tensor, ...]]:
    return lambda: x.split(size)


def whole(pooling: Pooling, x: torch.Tensor) -> torch.Tensor:
    return pooling(x[None], torch.ones((1, len(x)), dtype=torch.bool)).vector_BE[0]


def gradients(pooling: Pooling, vector: torch.Tensor) -> list[torch.Tensor]:
    target = torch.linspace(-1, 1, WIDTH)
    loss = ((vector - target) ** 2).sum() + vector.prod()
    return list(torch.autograd.grad(loss, list(pooling.parameters())))


@pytest.mark.parametrize("size", [1, 10, N])
def test_streamed_equals_whole_in_value_and_gradient(
    pooling: Pooling, bag: torch.Tensor, size: int
) -> None:
    at_once, streamed = whole(pooling, bag), stream_pooled(pooling, pieces(bag, size))
    torch.testing.assert_close(streamed, at_once, atol=1e-5, rtol=1e-5)
    for found, expected in zip(
        gradients(pooling, streamed), gradients(pooling, at_once), strict=True
    ):
        assert expected.abs().max() > 0
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_scores_that_overflow_singles_are_streamed(bag: torch.Tensor) -> None:
    attention = make_pooling("attention", DIM, WIDTH, tokens=1, draws=1, clusters=1)
    with torch.no_grad():
        attention.get_parameter("score.weight").mul_(3000)
    streamed = stream_pooled(attention, pieces(bag, 7))
    assert torch.isfinite(streamed).all()
    torch.testing.assert_close(streamed, whole(attention, bag), atol=1e-4, rtol=1e-4)


def test_the_order_of_instances_does_not_matter(pooling: Pooling, bag: torch.Tensor) -> None:
    order = torch.randperm(N, generator=torch.Generator().manual_seed(3))
    mask = torch.ones((1, N), dtype=torch.bool)
    first, second = pooling(bag[None], mask), pooling(bag[order][None], mask)
    torch.testing.assert_close(second.vector_BE, first.vector_BE, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(second.weights_BM, first.weights_BM[:, order], atol=1e-5, rtol=1e-4)


def test_padding_and_neighbours_in_a_batch_do_not_matter(
    pooling: Pooling, bag: torch.Tensor
) -> None:
    alone = pooling(bag[None, :20], torch.ones((1, 20), dtype=torch.bool))
    x = torch.full((2, N, DIM), 9.0)
    mask = torch.zeros((2, N), dtype=torch.bool)
    x[0, :20], mask[0, :20] = bag[:20], True
    x[1], mask[1] = bag, True
    batch = pooling(x, mask)
    torch.testing.assert_close(batch.vector_BE[0], alone.vector_BE[0], atol=1e-5, rtol=1e-5)
    assert not batch.weights_BM[0, 20:].any()
    torch.testing.assert_close(batch.weights_BM.sum(1), torch.ones(2))


def test_one_k_is_drawn_in_training(bag: torch.Tensor) -> None:
    torch.manual_seed(0)
    top = make_pooling("top-k", DIM, WIDTH, tokens=1, draws=1, clusters=1).train()
    many = bag.repeat(20, 1) + torch.arange(20 * N)[:, None] * 1e-3
    drawn = {tuple(whole(top, many).tolist()) for _ in range(20)}
    assert 1 < len(drawn) <= 5
    top.eval()
    assert len({tuple(whole(top, many).tolist()) for _ in range(3)}) == 1


def test_rank_weights_are_the_mean_over_k() -> None:
    # k is 1 and 2 of 10: (1/1 + 1/2) / 2 and (0 + 1/2) / 2
    assert rank_weights(10, (0.1, 0.2)).tolist() == [0.75, 0.25]


def test_cox_loss_with_ties_by_hand() -> None:
    # hazards 1, 2, 3, 4; two events at time 1, one at time 2, the last censored. Efron:
    # log(10) + log(10 - (1 + 2) / 2) - log(1) - log(2), then log(7) - log(3)
    hazard, time = torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 1, 2, 3])
    event = torch.tensor([True, True, True, False])
    expected = (np.log(10 * 8.5 / 2) + np.log(7 / 3)) / 3
    order = torch.tensor([2, 0, 3, 1])
    for rows in (torch.arange(4), order):
        found = cox_loss(hazard.log()[rows], time[rows], event[rows])
        assert found.item() == pytest.approx(expected, rel=1e-6)
    # A hazard is relative, however large.
    assert cox_loss(hazard.log() + 500, time, event).item() == pytest.approx(expected, rel=1e-4)


def test_cox_loss_of_many_ties_by_the_definition() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 20, 60):
        time, event = rng.integers(1, 9, n).astype(float), rng.random(n) < 0.6
        event[0] = True
        log_hazard = rng.normal(size=n)
        hazard, total = np.exp(log_hazard), 0.0
        for at in np.unique(time[event]):
            tied, risk = (time == at) & event, hazard[time >= at].sum()
            total += log_hazard[tied].sum()
            for r in range(tied.sum()):
                total -= np.log(risk - r / tied.sum() * hazard[tied].sum())
        found = cox_loss(*map(torch.from_numpy, (log_hazard, time, event)))
        assert found.item() == pytest.approx(-total / event.sum(), rel=1e-9)


def test_who_is_censored_at_the_time_of_an_event_is_at_risk() -> None:
    hazard, time = torch.tensor([1.0, 3.0]), torch.tensor([5.0, 5.0])
    found = cox_loss(hazard.log(), time, torch.tensor([True, False]))
    assert found.item() == pytest.approx(np.log(4.0))


def test_a_batch_without_events_teaches_nothing() -> None:
    log_hazard = torch.zeros(3, requires_grad=True)
    loss = cox_loss(log_hazard, torch.tensor([1.0, 2, 3]), torch.zeros(3, dtype=torch.bool))
    (slope,) = torch.autograd.grad(loss, log_hazard)
    assert loss.item() == 0
    assert not slope.any()


INTERVALS = Intervals(np.array([2.0, 4.0, 8.0]))


@pytest.mark.parametrize(
    ("time", "event", "survived", "died"),
    [
        pytest.param(2.0, True, [0, 0, 0], [1, 0, 0], id="an end belongs to its interval"),
        pytest.param(2.5, True, [1, 0, 0], [0, 1, 0], id="died in the second"),
        pytest.param(2.9, False, [1, 0, 0], [0, 0, 0], id="seen for less than half of it"),
        pytest.param(3.0, False, [1, 1, 0], [0, 0, 0], id="seen for half of it"),
        pytest.param(9.0, True, [1, 1, 1], [0, 0, 0], id="died after the last"),
        pytest.param(0.5, False, [0, 0, 0], [0, 0, 0], id="tells nothing"),
    ],
)
def test_intervals_by_hand(time: float, event: bool, survived: list[int], died: list[int]) -> None:
    found = INTERVALS.coded(np.array([time]), np.array([event]))
    assert [part[0].tolist() for part in found] == [survived, died]


def test_discrete_loss_and_curve_by_hand() -> None:
    hazards = np.array([[0.1, 0.2, 0.5]])
    logits = np.log(hazards / (1 - hazards))
    survived, died = INTERVALS.coded(np.array([5.0]), np.array([True]))
    loss = discrete_loss(*map(torch.from_numpy, (logits, survived, died)))
    assert loss.item() == pytest.approx(-np.log(0.9 * 0.8 * 0.5))
    curve = INTERVALS.survival(logits, np.array([0.0, 2, 3, 4, 8, 99]))
    expected = [1, 0.9, 0.9 * 0.8**0.5, 0.72, 0.36, 0.36]
    np.testing.assert_allclose(curve[0], expected, rtol=1e-12)
    mean = (1 + 0.9) / 2 * 2 + (0.9 + 0.72) / 2 * 2 + (0.72 + 0.36) / 2 * 4
    assert INTERVALS.mean_lifetime(logits)[0] == pytest.approx(mean)


def test_intervals_end_at_events_and_hold_as_many() -> None:
    time = np.array([1.0, 2, 3, 4, 5, 6, 99])
    event = np.array([True] * 6 + [False])
    assert Intervals.of_events(time, event, 3).ends.tolist() == [3.0, 5.0, 6.0]
    # Tied events make fewer.
    assert Intervals.of_events(np.full(7, 2.0), event, 3).ends.tolist() == [2.0]


def test_what_is_missing_has_no_effect() -> None:
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]], requires_grad=True)
    loss = class_loss(logits, torch.tensor([0, -1]), torch.ones(2))
    assert loss.item() == pytest.approx(np.log(2))
    assert not torch.autograd.grad(loss, logits)[0][1].any()
    predicted = torch.tensor([[1.0, 7.0]], requires_grad=True)
    loss = bulk_loss(predicted, torch.tensor([[3.0, torch.nan]]))
    assert loss.item() == 4.0
    assert torch.autograd.grad(loss, predicted)[0].tolist() == [[-4.0, 0.0]]


def test_contrast_of_the_patients_that_have_both() -> None:
    slide = torch.eye(3, requires_grad=True)
    other = torch.eye(3).roll(1, 0)
    there = torch.tensor([True, True, False])
    loss = contrast_loss(slide, other, there, torch.tensor(1.0))
    # Of patients 0 and 1: 0 lies on the profile of 1, and 1 on none: logits [[0, 1], [0, 0]].
    by_slide = (np.log(1 + np.e) + np.log(2)) / 2
    by_other = (np.log(2) + np.log(1 + np.e)) / 2
    assert loss.item() == pytest.approx((by_slide + by_other) / 2, rel=1e-5)
    assert not torch.autograd.grad(loss, slide)[0][2].any()
    assert contrast_loss(slide, other, torch.tensor([True, False, False]), torch.tensor(1.0)) == 0

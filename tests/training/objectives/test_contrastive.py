"""The contrastive losses against hand numbers and a loop in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from past_training.objectives import (
    Temperature,
    clip_loss,
    gathered,
    near_pairs,
    neighbour_contrastive_loss,
)

TAU = 0.5


def embeddings(n: int, *dims: int, seed: int = 0) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [torch.tensor(rng.normal(size=(n, d))) for d in dims]


def by_hand(
    image: Tensor, cell: Tensor, pre: tuple[Tensor, Tensor] | None, near: Tensor | None
) -> float:
    """The definition, pair by pair; `pre` None: hard targets."""

    def unit(x: Tensor) -> np.ndarray:
        return x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True)

    image_, cell_, n = unit(image), unit(cell), len(image)
    losses = []
    for direction in (image_ @ cell_.T / TAU, cell_ @ image_.T / TAU):
        for i in range(n):
            kept = [j for j in range(n) if i == j or near is None or not near[i, j]]
            if pre is None:
                wanted = {j: float(i == j) for j in kept}
            else:
                a, b = unit(pre[0]), unit(pre[1])
                alike = {j: math.exp((a[i] @ a[j] + b[i] @ b[j]) / 2 / TAU) for j in kept}
                wanted = {j: alike[j] / sum(alike.values()) for j in kept}
            norm = math.log(sum(math.exp(direction[i, j]) for j in kept))
            losses.append(-sum(wanted[j] * (direction[i, j] - norm) for j in kept))
    return float(np.mean(losses))


def test_two_opposite_cells():
    """Logits 1 for the pair and 0 for the other: log(1 + 1/e)."""
    loss = clip_loss(torch.eye(2), torch.eye(2), 1.0)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("targets", ["pre", "projected", "hard"])
def test_definition(targets, masked):
    image, cell, image_pre, cell_pre = embeddings(6, 4, 4, 7, 5)
    near = None
    if masked:
        near = torch.zeros(6, 6, dtype=torch.bool)
        near[0, 1] = near[1, 0] = near[4, 2] = near[2, 4] = near[3, 3] = True
    loss = neighbour_contrastive_loss(image, cell, image_pre, cell_pre, TAU, targets, near)
    pre = {"pre": (image_pre, cell_pre), "projected": (image, cell), "hard": None}[targets]
    assert float(loss) == pytest.approx(by_hand(image, cell, pre, near), rel=1e-9)


def test_neighbours_pull_and_push_nothing():
    """What is masked gets no gradient from the other, and nothing becomes NaN."""
    image, cell = (x.requires_grad_() for x in embeddings(2, 3, 3))
    near = ~torch.eye(2, dtype=torch.bool)
    loss = clip_loss(image, cell, TAU, near)
    loss.backward()
    assert loss.item() == 0
    assert image.grad is not None
    assert torch.equal(image.grad, torch.zeros(2, 3, dtype=torch.float64))


def test_targets_are_labels():
    image, cell, image_pre, cell_pre = (x.requires_grad_() for x in embeddings(5, 4, 4, 3, 3))
    neighbour_contrastive_loss(image, cell, image_pre, cell_pre, TAU).backward()
    assert image.grad is not None
    assert image_pre.grad is None
    assert cell_pre.grad is None


def test_pre_and_projected_targets_differ():
    parts = embeddings(5, 4, 4, 3, 3)
    pre, projected = (neighbour_contrastive_loss(*parts, TAU, t) for t in ("pre", "projected"))
    assert abs(float(pre - projected)) > 1e-3


def test_near_pairs():
    """Row 7 lists 9; row 8 is not in the batch; row 5 is met twice (two processes)."""
    near = near_pairs(
        torch.tensor([7, 9, 5, 5]), torch.tensor([[9, 8], [-1, -1], [-1, -1], [-1, -1]])
    )
    assert near.nonzero().tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]


def test_temperature_starts_at_007():
    assert Temperature()().item() == pytest.approx(0.07)


@pytest.mark.parametrize(("start", "kept"), [(3.0, 1.0), (-1.0, 0.01), (0.5, 0.5)])
def test_temperature_stays_within_limits_and_learns(start, kept):
    temperature = Temperature(start)
    tau = temperature()
    tau.backward()
    assert tau.item() == pytest.approx(kept)
    assert temperature.value.item() == pytest.approx(kept)
    assert temperature.value.grad == 1


def test_one_process_gathers_itself():
    x = torch.ones(2, 3)
    assert gathered(x) is x

"""The parts of an objective add up, and read what they should."""

from __future__ import annotations

import math

import pydantic
import pytest
import torch

from past_training.dataset.batches import Batch
from past_training.objectives import (
    ObjectiveConfig,
    Outputs,
    clip_loss,
    negative_binomial_nll,
    total_loss,
)

# Two nuclei of row 0, one of row 2; row 1 has none.
ROW = torch.tensor([0, 0, 2])
COUNTS = torch.tensor([[4.0, 0.0], [9.0, 9.0], [1.0, 2.0]])
TOTAL = torch.tensor([100.0, 100.0, 200.0])


def batch(neighbours: torch.Tensor | None = None) -> Batch:
    return Batch(
        patches=torch.zeros(0, 4, 4, 3, dtype=torch.uint8),
        where=torch.zeros(3, 3),
        row_of_nucleus=ROW,
        counts=COUNTS,
        total=TOTAL,
        measured=torch.ones(3, 2, dtype=torch.bool),
        section_index=torch.zeros(3, dtype=torch.int64),
        row_index=torch.tensor([10, 11, 12]),
        tokens=None,
        neighbours=neighbours,
    )


RATES = torch.tensor([[0.0, 100.0], [2 * (math.e - 1), 300.0], [50.0, 100.0]])
IMAGE, CELL = torch.eye(3), torch.tensor([[1.0, 0, 0], [0, 1, 0], [1, 0, 1]])
OUTPUTS = Outputs(
    image_RD=IMAGE,
    cell_RD=CELL,
    image_pre_RE=IMAGE,
    cell_pre_RF=CELL,
    tau=torch.tensor(0.5),
    rates_NG=RATES,
    log_dispersion_G=torch.tensor([0.3, -0.2]),
    deviation_G=torch.ones(2),
    view_a_NP=torch.ones(3, 2),
    view_b_NP=torch.zeros(3, 2),
    trained_NE=torch.ones(3, 2),
    frozen_NE=-torch.ones(3, 2),
)


def test_rates_are_averaged_before_the_logarithm():
    """Row 0: nuclei at 0 and 2(e − 1) are e − 1 together, log1p 1, against 4 of 100."""
    config = ObjectiveConfig(expression=1, expression_loss="log1p-mse")
    loss, parts = total_loss(config, OUTPUTS, batch())
    per_10k = torch.tensor([[400.0, 0.0], [50.0, 100.0]])
    rates = torch.tensor([[math.e - 1, 200.0], [50.0, 100.0]])
    expected = float((rates.log1p() - per_10k.log1p()).square().mean())
    assert parts == {"expression": pytest.approx(expected)}
    assert float(loss) == pytest.approx(expected)


def test_rows_without_nuclei_are_left_out():
    config = ObjectiveConfig(contrastive=1, targets="hard")
    loss, _ = total_loss(config, OUTPUTS, batch())
    expected = clip_loss(IMAGE[[0, 2]], CELL[[0, 2]], 0.5)
    assert float(loss) == pytest.approx(float(expected))


def test_parts_are_weighted():
    config = ObjectiveConfig(contrastive=2, expression=0.5, self_supervised=0.1, anchor=3)
    loss, parts = total_loss(config, OUTPUTS, batch())
    assert tuple(parts) == config.parts
    assert parts["anchor"] == pytest.approx(2)
    expression = negative_binomial_nll(
        torch.tensor([[math.e - 1, 200.0], [50.0, 100.0]]),
        COUNTS[[0, 2]],
        TOTAL[[0, 2]],
        torch.tensor([0.3, -0.2]),
    )
    assert parts["expression"] == pytest.approx(float(expression))
    expected = sum(getattr(config, name) * value for name, value in parts.items())
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_neighbours_are_spared_where_asked():
    near = torch.full((3, 8), -1)
    near[0, 0] = 12
    spare, count = (
        ObjectiveConfig(contrastive=1, targets="hard", spare_neighbours=s) for s in (True, False)
    )
    assert float(total_loss(spare, OUTPUTS, batch(near))[0]) == 0
    assert float(total_loss(count, OUTPUTS, batch(near))[0]) > 0.1
    assert float(total_loss(spare, OUTPUTS, batch(None))[0]) > 0.1


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="nothing to learn"),
        pytest.param({"anchor": 1}, id="an anchor alone"),
        pytest.param({"contrastive": -1}, id="negative"),
        pytest.param({"contrastive": 1, "targets": "soft"}, id="unknown targets"),
        pytest.param({"contrastive": 1, "vicreg": 1}, id="unknown part"),
    ],
)
def test_configs_that_mean_nothing(fields):
    with pytest.raises(pydantic.ValidationError):
        ObjectiveConfig(**fields)

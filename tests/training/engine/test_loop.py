"""The loop: what it takes, divides, refuses, writes, and when it stops."""

from __future__ import annotations

import csv
import dataclasses

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import nn

from napari_past.errors import PastError
from past_training.engine.checkpoint import checkpoints, load_checkpoint
from past_training.engine.loop import BEST, LAST, LoopConfig, NotFinite, OutOfMemory, fit
from past_training.engine.training import Training
from past_training.engine.weights import read_weights
from past_training.objectives import ObjectiveConfig, Outputs

COUNTS = ObjectiveConfig(expression=1, expression_loss="poisson")
BOTH = ObjectiveConfig(contrastive=1, expression=1)
FACTS = {"genes": "three"}


class Recorder(nn.Module):
    """Predicts one rate, and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(torch.tensor(7.0))
        self.pixels: list[list[float]] = []
        self.counts: list[list[float]] = []
        self.where: list[torch.Tensor] = []

    def forward(self, inputs) -> Outputs:
        self.pixels.append(inputs.image_BCHW.mean((1, 2, 3)).tolist())
        self.counts.append(inputs.batch.counts.sum(1).tolist())
        self.where.append(inputs.where_N3)
        rates_NG = self.log_rate.exp().expand(len(inputs.where_N3), 3)
        return Outputs(rates_NG=rates_NG)


def recorded(training: Training, fabric: Fabric, optimizer: torch.optim.Optimizer | None = None):
    """The same run around a `Recorder`."""
    model = Recorder()
    chosen = optimizer or torch.optim.SGD
    sgd = chosen([{"params": list(model.parameters()), "name": "rest"}], lr=0.1)
    wrapped, setup = fabric.setup(model, sgd)
    schedule = torch.optim.lr_scheduler.ConstantLR(setup, 1.0)
    return dataclasses.replace(training, model=wrapped, optimizer=setup, schedule=schedule)


def rows_of(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_batch_is_trained_on_once_and_with_its_own_rows(start, cpu, batch, memory, tmp_path):
    """Upstream's dataset ignored the index it was asked for."""
    feed = memory([batch(4, seed) for seed in range(5)])
    training, progress = start(COUNTS, feed, 10)
    training = recorded(training, cpu)
    config = LoopConfig(epochs=2, stain_jitter=0.0)
    fit(cpu, training, COUNTS, config, tmp_path, FACTS, progress, None)
    assert feed.handed_out == [0, 1, 2, 3, 4, 1, 2, 3, 4, 0]
    model = training.model.module
    for k, i in enumerate(feed.handed_out):
        own = feed.batches[i]
        # Without jitter only the orientation differs, which leaves means as they are.
        expected = own.patches.float().mean((1, 2, 3)).tolist()
        assert model.pixels[k] == pytest.approx(expected, abs=0.01)
        assert model.counts[k] == own.counts.sum(1).tolist()


def test_accumulated_batches_step_like_one(start, cpu, batch, memory, tmp_path):
    """Upstream divided the loss twice by the accumulation steps."""
    a, b = batch(4, 0), batch(4, 1)
    joined = batch(8, 2)
    joined = dataclasses.replace(
        joined, counts=torch.cat([a.counts, b.counts]), total=torch.cat([a.total, b.total])
    )
    rates = []
    for name, batches, accumulate in (("two", [a, b], 2), ("one", [joined], 1)):
        training, progress = start(COUNTS, memory(batches), 1)
        training = recorded(training, cpu)
        folder = tmp_path / name
        folder.mkdir()
        config = LoopConfig(epochs=1, accumulate=accumulate, clip_norm=1e9)
        fit(cpu, training, COUNTS, config, folder, FACTS, progress, None)
        assert training.position.step == 1
        rates.append(training.model.module.log_rate.item())
    assert rates[0] != pytest.approx(7.0, abs=1e-4)
    assert rates[0] == pytest.approx(rates[1], rel=1e-6)


def test_a_last_short_window_counts_as_much(start, cpu, batch, memory, tmp_path):
    """Three batches, two at a time: the third makes a step of its own, undivided."""
    same = batch(4, 0)
    steps = []
    for name, batches in (("three", [same] * 3), ("two", [same] * 2)):
        training, progress = start(COUNTS, memory(batches), 2)
        training = recorded(training, cpu)
        folder = tmp_path / name
        folder.mkdir()
        accumulate = 2 if name == "three" else 1
        config = LoopConfig(epochs=1, accumulate=accumulate, clip_norm=1e9)
        fit(cpu, training, COUNTS, config, folder, FACTS, progress, None)
        steps.append((training.position.step, training.model.module.log_rate.item()))
    assert steps[0][0] == steps[1][0] == 2
    assert steps[0][1] == pytest.approx(steps[1][1], rel=1e-6)


def test_the_encoder_learns_slower_in_every_line_of_the_log(start, cpu, batch, memory, tmp_path):
    training, progress = start(BOTH, memory([batch(4, s) for s in range(4)]), 8)
    config = LoopConfig(epochs=2, log_interval=1)
    fit(cpu, training, BOTH, config, tmp_path, FACTS, progress, None)
    progress.close()
    lines = rows_of(tmp_path / "steps.csv")
    assert [int(line["step"]) for line in lines] == list(range(1, 9))
    for line in lines:
        assert float(line["lr_encoder"]) == pytest.approx(0.1 * float(line["lr_rest"]))
        total = float(line["contrastive"]) + float(line["expression"])
        assert float(line["loss"]) == pytest.approx(total, rel=1e-5)
        assert float(line["cells_per_s"]) > 0


def test_it_learns(start, cpu, batch, memory, tmp_path):
    training, progress = start(BOTH, memory([batch(8, 0)]), 60, lr=3e-3)
    config = LoopConfig(epochs=60, log_interval=1)
    fit(cpu, training, BOTH, config, tmp_path, FACTS, progress, None)
    lines = rows_of(tmp_path / "steps.csv")
    first, last = ([float(line["loss"]) for line in part] for part in (lines[:5], lines[-5:]))
    assert sum(last) < sum(first) - 0.5


def test_a_gradient_that_is_not_finite_stops_before_the_step(start, cpu, batch, memory, tmp_path):
    bad = batch(4, 1)
    bad = dataclasses.replace(bad, counts=bad.counts * torch.nan)
    training, progress = start(COUNTS, memory([batch(4, 0), bad]), 2)
    config = LoopConfig(epochs=1, save_interval=1)
    with pytest.raises(NotFinite, match=r"step 2 \(epoch 1\) is not finite") as told:
        fit(cpu, training, COUNTS, config, tmp_path, FACTS, progress, None)
    assert "\n" not in str(told.value)
    [saved] = checkpoints(tmp_path)
    before = torch.load(saved, weights_only=True)["model"]
    for name, value in training.model.module.state_dict().items():
        assert torch.equal(value, before[name]), name


class Greedy(Recorder):
    """Asks for more memory than any machine has."""

    def forward(self, inputs) -> Outputs:
        torch.empty(2**60, dtype=torch.uint8)
        raise AssertionError("there was as much memory")


def test_out_of_memory_is_told(start, cpu, batch, memory, tmp_path):
    training, progress = start(COUNTS, memory([batch(4, 0)]), 1)
    training = recorded(training, cpu)
    training.model.module.__class__ = Greedy
    with pytest.raises(OutOfMemory, match="smaller batches") as told:
        fit(cpu, training, COUNTS, LoopConfig(epochs=1), tmp_path, FACTS, progress, None)
    assert "\n" not in str(told.value)


def test_positions_keep_their_digits_in_half_precision(start, batch, memory, tmp_path):
    """Upstream's autocast rounded token ids; a nucleus at 301.25 px must not move to 302."""
    one = batch(4, 0)
    where = one.where.clone()
    where[:, 1:] = 301.25
    half = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    feed = memory([dataclasses.replace(one, where=where)])
    training, progress = start(COUNTS, feed, 1, fabric=half)
    training = recorded(training, half)
    fit(half, training, COUNTS, LoopConfig(epochs=1), tmp_path, FACTS, progress, None)
    [seen] = training.model.module.where
    turned = {301.25, 15 - 301.25}
    assert seen.dtype == torch.float32
    assert set(seen[:, 1:].flatten().tolist()) <= turned


def test_half_precision_learns_like_full(start, cpu, batch, memory, tmp_path):
    losses = []
    for precision in ("32-true", "bf16-mixed"):
        folder = tmp_path / precision
        folder.mkdir()
        fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
        training, progress = start(BOTH, memory([batch(8, 0)]), 5, fabric=fabric)
        config = LoopConfig(epochs=5, log_interval=1, stain_jitter=0.0)
        fit(fabric, training, BOTH, config, folder, FACTS, progress, None)
        losses.append(float(rows_of(tmp_path / "steps.csv")[-1]["loss"]))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def halving(folder) -> Fabric:
    """fp16 with a loss scale, on the CPU."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    return Fabric(accelerator="cpu", devices=1, plugins=[plugin])


def test_an_overflow_halves_the_scale_and_goes_on(start, batch, memory, tmp_path):
    """A scale of 2^40 is far beyond fp16: the first steps are left out until it fits."""
    fabric = halving(tmp_path)
    training, progress = start(COUNTS, memory([batch(4, 0)]), 30, fabric=fabric)
    config = LoopConfig(epochs=30, stain_jitter=0.0)
    fit(fabric, training, COUNTS, config, tmp_path, FACTS, progress, None)
    scale = fabric.strategy.precision.state_dict()["scale"]
    assert 0 < scale < 2.0**40
    assert all(bool(p.isfinite().all()) for p in training.model.parameters())
    other = halving(tmp_path)
    again, _ = start(COUNTS, memory([batch(4, 0)]), 30, fabric=other)
    load_checkpoint(other, checkpoints(tmp_path)[-1], again, FACTS)
    assert other.strategy.precision.state_dict()["scale"] == scale


def test_overflows_without_end_stop(start, batch, memory, tmp_path):
    bad = batch(4, 1)
    bad = dataclasses.replace(bad, counts=bad.counts * torch.nan)
    fabric = halving(tmp_path)
    training, progress = start(COUNTS, memory([bad]), 99, fabric=fabric)
    with pytest.raises(NotFinite):
        fit(fabric, training, COUNTS, LoopConfig(epochs=99), tmp_path, FACTS, progress, None)
    assert 20 < training.position.step < 40
    assert training.schedule.last_epoch == 0


def test_checkpoints_at_their_interval_and_at_the_end(start, cpu, batch, memory, tmp_path):
    training, progress = start(COUNTS, memory([batch(4, s) for s in range(7)]), 7)
    config = LoopConfig(epochs=1, save_interval=3)
    fit(cpu, training, COUNTS, config, tmp_path, FACTS, progress, None)
    assert [p.name for p in checkpoints(tmp_path)] == [
        "checkpoint-00000006.pt",
        "checkpoint-00000007.pt",
    ]
    state, facts = read_weights(tmp_path / LAST)
    assert facts == FACTS
    assert (tmp_path / LAST).stat().st_mode == (tmp_path / "steps.csv").stat().st_mode
    for name, value in training.model.module.state_dict().items():
        assert torch.equal(state[name], value), name


def test_early_stopping_keeps_the_best(start, cpu, batch, memory, tmp_path):
    """Losses 3, 1, 2, 2: with patience 2 the fourth epoch is the last and the second the best."""
    told = iter([3.0, 1.0, 2.0, 2.0])
    kept = []

    def validate(training: Training) -> dict[str, float]:
        kept.append(training.model.module.rate_head.layer.bias.detach().clone())
        loss = next(told)
        return {"loss": loss, "expression": loss}

    training, progress = start(COUNTS, memory([batch(4, 0)]), 9, patience=2)
    config = LoopConfig(epochs=9)
    assert fit(cpu, training, COUNTS, config, tmp_path, FACTS, progress, validate)
    assert training.position.epoch == 4
    lines = rows_of(tmp_path / "validation.csv")
    assert [(line["epoch"], line["loss"]) for line in lines] == [
        ("1", "3.0"), ("2", "1.0"), ("3", "2.0"), ("4", "2.0"),
    ]  # fmt: skip
    state, _ = read_weights(tmp_path / BEST)
    assert torch.equal(state["rate_head.layer.bias"], kept[1])
    assert not torch.equal(kept[1], kept[3])


@pytest.mark.parametrize(
    "fields",
    [{"epochs": 0}, {"epochs": 1, "accumulate": 0}, {"epochs": 1, "clip_norm": 0.0},
     {"epochs": 1, "save_interval": 0}],
)  # fmt: skip
def test_settings_that_mean_nothing(fields):
    with pytest.raises(PastError, match="but got 0"):
        LoopConfig(**fields)

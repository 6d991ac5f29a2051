"""Checkpoints: whole files, of this run, that run no code."""

from __future__ import annotations

import os
import random
import resource

import numpy as np
import pytest
import torch

from napari_past.errors import CannotWrite
from past_training.engine.checkpoint import (
    BadCheckpoint,
    checkpoint_to_resume,
    checkpoints,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from past_training.engine.loop import LoopConfig, fit
from past_training.engine.random_state import random_state, set_random_state
from past_training.objectives import ObjectiveConfig

OBJECTIVE = ObjectiveConfig(contrastive=1, expression=1, self_supervised=0.1, anchor=1)
FACTS = {"processes": 1, "--batch-size": 48}


def test_random_numbers_go_on():
    state = random_state()
    drawn = [random.random(), np.random.rand(), float(torch.rand(()))]  # noqa: NPY002
    set_random_state(state)
    assert [random.random(), np.random.rand(), float(torch.rand(()))] == drawn  # noqa: NPY002


class Dying:
    """A feed that breaks off."""

    def __init__(self, feed, after: int) -> None:
        self._feed, self._left = feed, after
        self.state, self.restore = feed.state, feed.restore

    def __len__(self) -> int:
        return len(self._feed)

    def epoch(self, epoch: int):
        for one in self._feed.epoch(epoch):
            if not self._left:
                raise EOFError
            self._left -= 1
            yield one


@pytest.mark.parametrize("accumulate", [1, 2])
def test_going_on_within_an_epoch(start, cpu, batch, memory, tmp_path, accumulate):
    """Dropout, augmentation, optimizer, schedule and position: bit by bit as without a stop."""
    batches = [batch(4, seed) for seed in range(6)]
    steps = 18 // accumulate
    config = LoopConfig(epochs=3, accumulate=accumulate, save_interval=2)
    ends = []
    for name in ("whole", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        feed = memory(batches)
        if name == "broken":
            training, progress = start(OBJECTIVE, Dying(feed, 11), steps)
            torch.manual_seed(9)
            with pytest.raises(EOFError):
                fit(cpu, training, OBJECTIVE, config, folder, FACTS, progress, None)
            torch.manual_seed(77)
            training, progress = start(OBJECTIVE, memory(batches), steps)
            load_checkpoint(cpu, checkpoints(folder)[-1], training, FACTS)
            assert 6 < training.position.step * accumulate < 11
        else:
            training, progress = start(OBJECTIVE, feed, steps)
            torch.manual_seed(9)
        fit(cpu, training, OBJECTIVE, config, folder, FACTS, progress, None)
        assert training.position.step == steps
        ends.append(training.model.module.state_dict())
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


def test_the_last_two_are_kept_and_nothing_unfinished(start, cpu, batch, memory, tmp_path):
    training, _ = start(OBJECTIVE, memory([batch()]), 1)
    for step in (2, 10, 9, 100_000_000):
        training.position.step = step
        save_checkpoint(cpu, tmp_path, training, FACTS)
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == [
        "checkpoint-00000010.pt",
        "checkpoint-100000000.pt",
    ]
    assert checkpoint_to_resume(str(tmp_path), tmp_path / "none") == checkpoints(tmp_path)[-1]


def test_a_full_disk_leaves_the_last_one(start, cpu, batch, memory, tmp_path):
    training, _ = start(OBJECTIVE, memory([batch()]), 1)
    first = save_checkpoint(cpu, tmp_path, training, FACTS)
    content = first.read_bytes()
    training.position.step = 5
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, limits[1]))
    try:
        with pytest.raises(CannotWrite, match="cannot be written"):
            save_checkpoint(cpu, tmp_path, training, FACTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert first.read_bytes() == content
    assert [p.name for p in tmp_path.glob("*check*")] == [first.name]


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("trap-was-sprung",))


@pytest.mark.parametrize("kind", ["cut short", "trap", "another file", "no checkpoint"])
def test_files_that_are_none(start, cpu, batch, memory, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    training, _ = start(OBJECTIVE, memory([batch()]), 1)
    path = save_checkpoint(cpu, tmp_path, training, FACTS)
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "trap":
        torch.save({"schema": 1, "model": Trap()}, path)
    elif kind == "another file":
        path.write_text("step,loss\n")
    else:
        torch.save({"model": {}}, path)
    with pytest.raises(BadCheckpoint, match="checkpoint") as told:
        read_checkpoint(path)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "trap-was-sprung").exists()


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({**FACTS, "processes": 2}, "processes 1, but this one has 2"),
        ({**FACTS, "--batch-size": 24}, "--batch-size 48, but this one has 24"),
        ({**FACTS, "--seed": 3}, "--seed None, but this one has 3"),
    ],
)
def test_runs_that_differ(start, cpu, batch, memory, tmp_path, facts, message):
    training, _ = start(OBJECTIVE, memory([batch()]), 1)
    path = save_checkpoint(cpu, tmp_path, training, FACTS)
    with pytest.raises(BadCheckpoint, match=message):
        load_checkpoint(cpu, path, training, facts)


@pytest.mark.parametrize("now", [{}, {"--patience": 3}], ids=["untold", "another"])
@pytest.mark.parametrize("then", [{}, {"--patience": "none"}], ids=["older", "told"])
def test_patience_may_change(start, cpu, batch, memory, tmp_path, then, now):
    """Kept for who reads of the run; runs of before it was kept go on as well."""
    training, _ = start(OBJECTIVE, memory([batch()]), 1)
    path = save_checkpoint(cpu, tmp_path, training, {**FACTS, **then})
    assert read_checkpoint(path)["facts"] == {**FACTS, **then}
    load_checkpoint(cpu, path, training, {**FACTS, **now})


def test_another_model(start, cpu, batch, memory, tmp_path):
    training, _ = start(OBJECTIVE, memory([batch()]), 1)
    path = save_checkpoint(cpu, tmp_path, training, FACTS)
    other, _ = start(ObjectiveConfig(expression=1), memory([batch()]), 1)
    with pytest.raises(BadCheckpoint, match="does not fit this model") as told:
        load_checkpoint(cpu, path, other, FACTS)
    assert "\n" not in str(told.value)


def test_what_resume_means(tmp_path):
    assert checkpoint_to_resume("auto", tmp_path) is None
    one = tmp_path / "checkpoint-00000003.pt"
    one.touch()
    (tmp_path / "checkpoint-last.pt").touch()
    assert checkpoint_to_resume("auto", tmp_path) == one
    assert checkpoint_to_resume(str(one), tmp_path / "elsewhere") == one
    with pytest.raises(BadCheckpoint, match="nothing to resume"):
        checkpoint_to_resume(str(tmp_path / "none.pt"), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadCheckpoint, match="holds no checkpoint"):
        checkpoint_to_resume(str(tmp_path / "empty"), tmp_path)

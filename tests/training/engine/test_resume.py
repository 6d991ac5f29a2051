"""A run that is killed with -9 goes on, and ends as one that was left alone."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import torch

from past_training.engine.checkpoint import checkpoints
from past_training.engine.loop import LAST
from past_training.engine.weights import read_weights

WORLD = 2


def started(run_script: Callable[..., Any], arguments: list[str]) -> list[Any]:
    """The processes of one run, told of each other as torchrun does it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    common = {
        "WORLD_SIZE": str(WORLD), "LOCAL_WORLD_SIZE": str(WORLD), "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test",
    }  # fmt: skip
    return [
        run_script(
            "launched.py",
            arguments=arguments,
            environment=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(WORLD)
    ]


def finish(processes: list[Any]) -> list[int]:
    for process in processes:
        process.join(90)
    return [process.exitcode for process in processes]


def test_killed_and_resumed_equals_undisturbed(dataset, run_script, tmp_path):
    """Bit by bit: two processes, threads that read ahead, dropout, views, two batches a step."""
    line = [
        "--data", str(dataset), "--output-dir", str(tmp_path), "--batch-size", "4",
        "--accum-iter", "2", "--num-workers", "2", "--save-interval", "5", "--epochs", "4",
        "--log-interval", "1", "--image-tower", "test_resnet", "--cell-dim", "32",
        "--self-supervised", "0.1", "--device", "cpu", "--validation", "Q",
    ]  # fmt: skip
    killed = started(run_script, [*line, "--exp-name", "killed"])
    folder = tmp_path / "killed"
    until = time.monotonic() + 90
    while len(checkpoints(folder)) < 2 and time.monotonic() < until:
        time.sleep(0.005)
    killed[1].kill()
    # The other has nobody to exchange gradients with: it ends with a sentence, not a traceback.
    assert finish(killed) == [1, -9]
    assert not (folder / LAST).exists(), "it was done before it was killed: the test says nothing"
    left = int(checkpoints(folder)[-1].stem.split("-")[1])
    again = started(run_script, [*line, "--exp-name", "killed", "--resume", "auto"])
    assert finish(again) == [0, 0]
    assert finish(started(run_script, [*line, "--exp-name", "whole"])) == [0, 0]
    expected, _ = read_weights(tmp_path / "whole" / LAST)
    found, _ = read_weights(folder / LAST)
    assert 0 < left < int(checkpoints(folder)[-1].stem.split("-")[1])
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name
    for table in ("steps.csv", "validation.csv"):
        texts = [(tmp_path / name / table).read_text() for name in ("killed", "whole")]
        killed_lines, whole_lines = ([x.split(",")[:3] for x in t.splitlines()] for t in texts)
        assert killed_lines == whole_lines

"""Two real processes against one: the loss sees all negatives, and so do its gradients."""

from __future__ import annotations

import pytest
import torch


@pytest.mark.parametrize("sizes", [(3, 3), (4, 2)], ids=["alike", "uneven"])
def test_two_processes_equal_one(run_script, tmp_path, sizes):
    """Local negatives alone would give another loss; gradients that stay at home others still."""
    runs = [("one", 0, 1), ("two-0", 0, 2), ("two-1", 1, 2)]
    started = [
        run_script(
            "joint_loss.py", rank=rank, world=world, store=str(tmp_path / name[:3]),
            out=str(tmp_path / f"{name}.pt"), sizes=sizes,
        )
        for name, rank, world in runs
    ]  # fmt: skip
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    one, *two = (torch.load(tmp_path / f"{name}.pt") for name, _, _ in runs)
    for part in two:
        torch.testing.assert_close(part["loss"], one["loss"], rtol=1e-6, atol=0)
        assert len(part["gradients"]) == len(one["gradients"]) == 5
        for found, expected in zip(part["gradients"], one["gradients"], strict=True):
            assert float(expected.abs().max()) > 0
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)

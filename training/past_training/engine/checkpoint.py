"""Checkpoints: a run that was killed goes on as if nothing had happened.

A checkpoint is one file, ``checkpoint-<step>.pt``, written by the first process beside its place
and renamed when it is whole. It is taken between two steps of the optimizer, when no gradient is
pending, and holds weights, optimizer, schedule, loss scale, the position in the data, early
stopping, and the generators of random numbers of every process. It is read without running code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from napari_past.errors import PastError
from napari_past.files import atomic_write
from past_training.engine.random_state import random_state, set_random_state
from past_training.engine.training import Position, Training

SCHEMA = 1
KEPT = 2
"""The last so many stay; older ones are removed."""
_NAME = re.compile(r"checkpoint-(\d{8,})\.pt")

Facts = Mapping[str, str | int | float | bool]
"""What must be the same for a run to go on, by the name under which a user knows it."""
FREE = frozenset({"--patience"})
"""Facts that are kept beside those, but may change: what is learnt does not depend on them."""


class BadCheckpoint(PastError):
    """A checkpoint is missing, damaged, or of another run."""


def save_checkpoint(fabric: Fabric, folder: Path, training: Training, facts: Facts) -> Path:
    """Write ``checkpoint-<step>.pt`` into `folder`; all processes must call this.

    Raises
    ------
    CannotWrite
        The folder is missing or the disk is full; what was there is untouched.
    """
    path = folder / f"checkpoint-{training.position.step:08d}.pt"
    states = _of_all_processes(random_state())
    if fabric.is_global_zero:
        content = {
            "schema": SCHEMA,
            "facts": dict(facts),
            "model": training.model.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "schedule": training.schedule.state_dict(),
            "precision": fabric.strategy.precision.state_dict(),
            "early_stop": training.early_stop.state_dict(),
            "feed": training.feed.state(),
            "position": dict(vars(training.position)),
            "random": states,
        }
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as exc:
                # torch hides what the disk said behind an error of its own.
                if isinstance(exc.__context__, OSError):
                    raise exc.__context__ from exc
                raise
            # A rename may reach the disk before the content does.
            file.flush()
            os.fsync(file.fileno())
        for old in checkpoints(folder)[:-KEPT]:
            old.unlink(missing_ok=True)
    fabric.barrier()
    return path


def load_checkpoint(fabric: Fabric, path: Path, training: Training, facts: Facts) -> None:
    """Put `training` and this process's random numbers where the checkpoint was taken.

    Raises
    ------
    BadCheckpoint
        It is damaged, of another version, or of a run that differs in `facts`.
    """
    content = read_checkpoint(path)
    _check_facts(path, content["facts"], facts)
    try:
        training.model.load_state_dict(content["model"])
        training.optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError) as exc:
        # torch's first line names the class, its second the first difference.
        lines = str(exc).strip().splitlines()
        reason = (lines[1] if len(lines) > 1 else lines[0]).strip()
        raise BadCheckpoint(
            f"{path} does not fit this model ({reason}); resume with the options of its run."
        ) from exc
    training.schedule.load_state_dict(content["schedule"])
    fabric.strategy.precision.load_state_dict(content["precision"])
    training.early_stop.load_state_dict(content["early_stop"])
    training.feed.restore(content["feed"])
    training.position = Position(**content["position"])
    set_random_state(content["random"][fabric.global_rank])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU.

    Raises
    ------
    BadCheckpoint
        It cannot be read as one.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    # The reader of pickles may stumble over arbitrary bytes in any way.
    except Exception as exc:
        raise BadCheckpoint(
            f"{path} cannot be read as a checkpoint ({type(exc).__name__}); resume from another "
            f"one of its folder."
        ) from exc
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BadCheckpoint(
            f"{path} is no checkpoint of this version; resume from one that this version wrote, or "
            f"start a new run."
        )
    return content


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a folder, oldest first."""
    found = [p for p in folder.glob("checkpoint-*.pt") if _NAME.fullmatch(p.name)]
    return sorted(found, key=lambda p: int(p.stem.split("-")[1]))


def checkpoint_to_resume(resume: str, folder: Path) -> Path | None:
    """The checkpoint that ``--resume`` means.

    Parameters
    ----------
    resume
        A checkpoint, a folder of which to take the last, or ``auto``: the last of this run's own
        `folder`, or None where there is none yet.

    Raises
    ------
    BadCheckpoint
        There is no such file, or none in the folder.
    """
    if resume == "auto":
        own = checkpoints(folder)
        return own[-1] if own else None
    path = Path(resume)
    if path.is_file():
        return path
    if not path.is_dir():
        raise BadCheckpoint(
            f"There is nothing to resume at {path}; give a checkpoint-….pt, its folder, or auto."
        )
    found = checkpoints(path)
    if not found:
        raise BadCheckpoint(f"The folder {path} holds no checkpoint; give the one of the run.")
    return found[-1]


def _check_facts(path: Path, then: Facts, now: Facts) -> None:
    for name in dict.fromkeys([*then, *now]):
        if name not in FREE and then.get(name) != now.get(name):
            raise BadCheckpoint(
                f"{path} is of a run with {name} {then.get(name)}, but this one has "
                f"{now.get(name)}; give the same to go on, or start anew without --resume."
            )


def _of_all_processes(state: dict[str, Any]) -> list[dict[str, Any]]:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states

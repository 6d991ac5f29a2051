"""The training loop: fetch, forward, loss, backward, clip, finite check, step."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from napari_past.errors import PastError
from past_training.engine.adapt import training_mode
from past_training.engine.checkpoint import Facts, save_checkpoint
from past_training.engine.inputs import inputs_of
from past_training.engine.progress import Progress
from past_training.engine.schedule import rates
from past_training.engine.training import Training
from past_training.engine.weights import save_weights
from past_training.objectives.config import ObjectiveConfig, total_loss

log = logging.getLogger("past_training")

BEST, LAST = "best.safetensors", "last.safetensors"

# With fp16 a gradient overflows now and then: its scale is halved and the step left out. This many
# in a row are no accident of the scale.
OVERFLOWS_IN_A_ROW = 25
# Beside the losses among what is summed up for the log.
BATCHES, CELLS = "batches", "cells"

Validate = Callable[[Training], Mapping[str, float]]
"""Loss (under ``loss``) and its parts on held-out tissue, the same for every process."""


class NotFinite(PastError):
    """A gradient was not finite; weights and optimizer are as they were before it."""


class OutOfMemory(PastError):
    """A batch does not fit into memory."""


@dataclass(frozen=True)
class LoopConfig:
    """How a run goes on, whatever it learns."""

    epochs: int
    accumulate: int = 1
    """Batches whose gradients make one step."""
    clip_norm: float = 1.0
    save_interval: int = 10_000
    """Steps between checkpoints."""
    log_interval: int = 20
    """Steps between lines of the log."""
    stain_jitter: float = 0.1
    """Strength of the stain augmentation."""

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "save_interval", "log_interval"):
            if getattr(self, name) < 1:
                raise PastError(f"{name} is at least 1, but got {getattr(self, name)}.")
        if not self.clip_norm > 0:
            raise PastError(f"clip_norm is above 0, but got {self.clip_norm:g}.")

    def steps_per_epoch(self, batches: int) -> int:
        """Steps of the optimizer in an epoch of so many batches; the last may take fewer."""
        return -(-batches // self.accumulate)


def fit(
    fabric: Fabric,
    training: Training,
    objective: ObjectiveConfig,
    config: LoopConfig,
    folder: Path,
    facts: Facts,
    progress: Progress,
    validate: Validate | None,
) -> bool:
    """Train until all epochs are done or early stopping ends the run; returns whether it did.

    Parameters
    ----------
    training
        Is changed; where it starts is its ``position``.
    folder
        For checkpoints, and for ``best.safetensors``: the weights of the best validation.
    validate
        Asked at the end of every epoch; None: nothing is held out.

    Raises
    ------
    NotFinite
        A gradient is not finite.
    OutOfMemory
        A batch does not fit.
    """
    position = training.position
    while position.epoch < config.epochs and not training.early_stop.stops:
        _epoch(fabric, training, objective, config, folder, facts, progress)
        position.epoch, position.batch = position.epoch + 1, 0
        if validate is not None:
            _validated(fabric, training, validate, folder, facts, progress)
    save_checkpoint(fabric, folder, training, facts)
    if fabric.is_global_zero:
        save_weights(folder / LAST, training.model.module, facts)
    return training.early_stop.stops


def _epoch(
    fabric: Fabric,
    training: Training,
    objective: ObjectiveConfig,
    config: LoopConfig,
    folder: Path,
    facts: Facts,
    progress: Progress,
) -> None:
    """What is left of the present epoch."""
    model, optimizer, position = training.model, training.optimizer, training.position
    training_mode(model.module)
    total = len(training.feed)
    sums: defaultdict[str, float] = defaultdict(float)
    progress.seconds()
    # Every process takes as many batches, or the others would wait for it forever.
    left = itertools.islice(training.feed.epoch(position.epoch), total - position.batch)
    for batch in left:
        start = position.batch - position.batch % config.accumulate
        window = min(config.accumulate, total - start)
        last = position.batch + 1 == start + window
        with _memory_told(fabric), fabric.no_backward_sync(model, enabled=not last):
            inputs = inputs_of(
                batch,
                fabric.device,
                stain_jitter=config.stain_jitter,
                two_views=objective.self_supervised > 0,
                generator=torch.default_generator,
            )
            outputs = model(inputs)
            loss, parts = total_loss(objective, outputs, inputs.batch)
            # The one place where the loss is divided.
            fabric.backward(loss / window)
        seen = {**parts, "loss": float(loss.detach()), BATCHES: 1, CELLS: len(batch.where)}
        for name, value in seen.items():
            sums[name] += value
        position.batch += 1
        if not last:
            continue
        norm = fabric.clip_gradients(
            model, optimizer, max_norm=config.clip_norm, error_if_nonfinite=False
        )
        assert norm is not None, "a limit was given, so there is a norm"
        finite = bool(torch.isfinite(norm))
        position.overflows = 0 if finite else position.overflows + 1
        if not finite and (not scales_gradients(fabric) or position.overflows > OVERFLOWS_IN_A_ROW):
            raise NotFinite(
                f"The gradient of step {position.step + 1} (epoch {position.epoch + 1}) is not "
                f"finite, so the step was not taken; lower the learning rate, or go on from the "
                f"last checkpoint in full precision."
            )
        learning = {f"lr_{name}": rate for name, rate in rates(optimizer).items()}
        optimizer.step()
        if finite:
            training.schedule.step()
        optimizer.zero_grad(set_to_none=True)
        position.step += 1
        progress.stepped()
        if position.step % config.log_interval == 0 or position.batch == total:
            _log(fabric, training, sums, learning | {"gradient_norm": float(norm)}, progress)
            sums.clear()
        if position.step % config.save_interval == 0:
            save_checkpoint(fabric, folder, training, facts)


def scales_gradients(fabric: Fabric) -> bool:
    """Whether losses are scaled, so that an overflow is answered by a smaller scale."""
    return getattr(fabric.strategy.precision, "scaler", None) is not None


def _log(
    fabric: Fabric,
    training: Training,
    sums: Mapping[str, float],
    last: Mapping[str, float],
    progress: Progress,
) -> None:
    """Tell the means since the last line, and what is true of the last step alone."""
    cells = torch.tensor(sums[CELLS], device=fabric.device)
    fabric.all_reduce(cells, reduce_op="sum")
    values = {k: v / sums[BATCHES] for k, v in sums.items() if k not in (BATCHES, CELLS)}
    values |= {"epoch": training.position.epoch + 1, **last}
    values["cells_per_s"] = float(cells) / max(progress.seconds(), 1e-9)
    progress.log_steps(training.position.step, values)


def _validated(
    fabric: Fabric,
    training: Training,
    validate: Validate,
    folder: Path,
    facts: Facts,
    progress: Progress,
) -> None:
    """Validate, keep the best weights, and count towards early stopping."""
    values = dict(validate(training))
    best = training.early_stop.improved(values["loss"])
    epoch = training.position.epoch
    if best and fabric.is_global_zero:
        save_weights(folder / BEST, training.model.module, facts)
    progress.log_validation(training.position.step, {"epoch": epoch, **values, "best": best})
    if fabric.is_global_zero:
        log.info("epoch %d: held-out loss %.4f%s", epoch, values["loss"], " (best)" if best else "")


@contextlib.contextmanager
def _memory_told(fabric: Fabric) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        text = str(exc).lower()
        full = isinstance(exc, MemoryError | torch.OutOfMemoryError)
        if not full and "allocate memory" not in text and "out of memory" not in text:
            raise
        where = "GPU" if fabric.device.type == "cuda" else "machine"
        raise OutOfMemory(
            f"The {where} of process {fabric.global_rank} ran out of memory; take smaller batches "
            f"and accumulate more of them, or recompute activations (gradient checkpointing)."
        ) from exc

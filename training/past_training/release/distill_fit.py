"""A dense tower trained to give a teacher's vectors.

Shapes: N cells, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydantic
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from napari_past.model.strict import Strict
from past_training.augment import oriented, restained
from past_training.engine.loop import (
    OVERFLOWS_IN_A_ROW,
    NotFinite,
    OutOfMemory,
    scales_gradients,
)
from past_training.engine.processes import launched_fabric
from past_training.engine.progress import Progress
from past_training.engine.random_state import seed_everything
from past_training.engine.schedule import adamw, rates, scheduled
from past_training.engine.towers import ImageTower
from past_training.objectives.anchor import anchor_loss
from past_training.release.distill_cells import TaughtCells
from past_training.release.distill_views import ViewBatch, Views

PARTS = ("squared_error", "cosine")
_WARM_UP = 0.05
"""Part of the steps in which the rate rises."""
_CLIP_NORM = 1.0
_LINES = 20
"""Lines of the log in a run."""
_BLOCK = 16_384
_LEAST_DEVIATION = 1e-4
"""Of the largest deviation: a number of the vectors that hardly varies is not blown up beyond."""


class StudentConfig(Strict):
    """What a student is, and how it learns."""

    backbone: str = "mobilenetv4_conv_small"
    stages: tuple[int, ...] = (2, 3)
    mpp: float = 1.0
    """µm/px that it reads."""
    seed: int = pydantic.Field(default=0, ge=0)
    steps: int = pydantic.Field(default=2000, ge=1)
    windows: int = pydantic.Field(default=4, ge=1)
    """In a batch."""
    core_px: int = pydantic.Field(default=256, ge=16)
    """Side of the middle of a window, which holds its cells."""
    lr: float = pydantic.Field(default=2e-3, gt=0)
    weight_decay: float = pydantic.Field(default=0.05, ge=0)
    stain_jitter: float = pydantic.Field(default=0.1, ge=0)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of the teacher's vectors over the cells that are trained on."""

    mean_D: Tensor
    deviation_D: Tensor


def scale_of(cells: Sequence[TaughtCells]) -> Scale:
    """Of all the cells' vectors, which are read twice, block by block."""
    n, d = sum(map(len, cells)), cells[0].vectors.shape[1]
    mean_D, square_D = np.zeros(d), np.zeros(d)
    for block_ND in _blocks(cells):
        mean_D += block_ND.sum(0) / n
    for block_ND in _blocks(cells):
        square_D += ((block_ND - mean_D) ** 2).sum(0) / n
    deviation_D = np.sqrt(square_D)
    deviation_D = np.maximum(deviation_D, max(_LEAST_DEVIATION * deviation_D.max(), 1e-6))
    return Scale(
        torch.from_numpy(mean_D.astype(np.float32)),
        torch.from_numpy(deviation_D.astype(np.float32)),
    )


def _blocks(cells: Sequence[TaughtCells]) -> Iterator[npt.NDArray[np.float64]]:
    for part in cells:
        for start in range(0, len(part), _BLOCK):
            yield part.teacher(slice(start, start + _BLOCK)).astype(np.float64)


class View:
    """What a student sees.

    No tensor of its own and no dataclass: under mixed precision Fabric would turn the places into
    half precision, where a cell at 300 px can only lie at even pixels.
    """

    def __init__(self, image_BCHW: Tensor, where_N3: Tensor) -> None:
        self.image_BCHW = image_BCHW
        self.where_N3 = where_N3


class Student(nn.Module):
    """A tower whose vectors are standardised: mean 0 and deviation 1 where it agrees.

    The teacher's mean and deviation are folded into its last layer when it has learned: numbers of
    one size are what the learning rate and the weights at the start are made for.
    """

    def __init__(self, tower: ImageTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, view: View) -> Tensor:
        """Standardised vectors (N, D)."""
        result: Tensor = self.tower(view.image_BCHW, view.where_N3)
        return result


def distillation_loss(
    standard_ND: Tensor, teacher_ND: Tensor, scale: Scale
) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared error of standardised vectors, and 1 − cosine of the vectors, and their sum.

    Parameters
    ----------
    standard_ND
        The student's, standardised.
    teacher_ND
        The teacher's, as they are.
    """
    # A linear read-out may read any number of a vector, and towers have some that vary a hundred
    # times more than others: standardised, each counts alike. Retrieval compares directions of the
    # vectors as they are, which the cosine keeps right where a few large numbers decide.
    target_ND = (teacher_ND - scale.mean_D) / scale.deviation_D
    error = mse_loss(standard_ND, target_ND)
    cosine = anchor_loss(standard_ND * scale.deviation_D + scale.mean_D, teacher_ND)
    return error + cosine, {"squared_error": error, "cosine": cosine}


def fit_student(
    tower: ImageTower,
    cells: Sequence[TaughtCells],
    mpp: float,
    margin_px: int,
    config: StudentConfig,
    device: str,
    folder: Path,
) -> Scale:
    """Train `tower` in place, until its vectors are in the teacher's own units.

    Parameters
    ----------
    tower
        A dense one.
    margin_px
        How far it sees.
    folder
        That exists, for the table of steps.

    Raises
    ------
    PastError
        The gradient is not finite, memory or disk is full, or there is no such device.
    """
    fabric = launched_fabric(device, "auto")
    seed_everything(config.seed)
    scale = scale_of(cells)
    views = Views(cells, mpp, config.core_px, margin_px, config.windows, config.seed)
    module = Student(tower)
    optimizer = adamw(module, tower, config.lr, 1.0, config.weight_decay)
    schedule = scheduled(optimizer, max(1, round(_WARM_UP * config.steps)), config.steps, 0.0)
    student, stepper = fabric.setup(module, optimizer)
    there = Scale(scale.mean_D.to(fabric.device), scale.deviation_D.to(fabric.device))
    progress = Progress(folder, PARTS, config.steps, None, fabric.is_global_zero)
    every = max(1, config.steps // _LINES)
    seen, overflows = 0, 0
    student.train()
    try:
        with closing(views.batches()) as batches:
            for step, batch in enumerate(islice(batches, config.steps), start=1):
                seen += len(batch.where)
                try:
                    standard_ND = student(_augmented(batch, config.stain_jitter, fabric.device))
                    teacher_ND = batch.teacher.to(fabric.device, non_blocking=True)
                    loss, parts = distillation_loss(standard_ND, teacher_ND, there)
                    fabric.backward(loss)
                except (torch.OutOfMemoryError, MemoryError) as exc:
                    raise OutOfMemory(
                        f"A batch of {config.windows} windows does not fit into memory; take a "
                        f"smaller --batch-size."
                    ) from exc
                norm = fabric.clip_gradients(
                    student, stepper, max_norm=_CLIP_NORM, error_if_nonfinite=False
                )
                assert norm is not None, "a limit was given, so there is a norm"
                finite = bool(torch.isfinite(norm))
                overflows = 0 if finite else overflows + 1
                scaled = scales_gradients(fabric)
                if not finite and (not scaled or overflows > OVERFLOWS_IN_A_ROW):
                    raise NotFinite(
                        f"The gradient of step {step} is not finite, so the step was not taken; "
                        f"lower the learning rate with --lr."
                    )
                stepper.step()
                if finite:
                    schedule.step()
                stepper.zero_grad(set_to_none=True)
                progress.stepped()
                if step % every == 0 or step == config.steps:
                    told = {name: float(part.detach()) for name, part in parts.items()}
                    told |= {"epoch": 1, "loss": float(loss.detach())}
                    told |= {f"lr_{name}": rate for name, rate in rates(optimizer).items()}
                    told |= {"gradient_norm": float(norm), "cells_per_s": seen / progress.seconds()}
                    progress.log_steps(step, told)
                    seen = 0
    finally:
        progress.close()
    tower.cpu().eval()
    _in_units(tower, scale)
    return scale


def _augmented(batch: ViewBatch, stain_jitter: float, device: torch.device) -> View:
    """Another orientation and another stain; the teacher saw the slide as it is."""
    image_BCHW = batch.image.permute(0, 3, 1, 2).float()
    generator = torch.default_generator
    image_BCHW, where_N3 = oriented(image_BCHW, batch.where, generator)
    image_BCHW = restained(image_BCHW, stain_jitter, generator)
    placed = image_BCHW.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    return View(placed, where_N3.to(device))


def _in_units(tower: ImageTower, scale: Scale) -> None:
    """Have the last layer give vectors as the teacher does, instead of standardised ones."""
    head = tower.body.head
    assert isinstance(head, nn.Sequential), "a dense tower has a head"
    last = head[-1]
    assert isinstance(last, nn.Linear), "whose last layer is linear"
    with torch.no_grad():
        last.weight.mul_(scale.deviation_D[:, None])
        last.bias.mul_(scale.deviation_D).add_(scale.mean_D)

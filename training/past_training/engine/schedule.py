"""Learning rates: which parameters get which, and how they rise and fall."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


def adamw(
    model: nn.Module, encoder: nn.Module, lr: float, encoder_factor: float, weight_decay: float
) -> AdamW:
    """AdamW with PAST's betas, whose first groups are the encoder's with a rate of their own.

    The schedule multiplies each group's own rate, so the factor holds from the first step to the
    last. Biases, norms and scalars do not decay.

    Parameters
    ----------
    encoder
        The part of `model` that learns at ``lr * encoder_factor``.
    """
    of_encoder = {id(p) for p in encoder.parameters()}
    groups: list[dict[str, Any]] = []
    for name, inside, rate in (("encoder", True, lr * encoder_factor), ("rest", False, lr)):
        trained = [
            p for p in model.parameters() if p.requires_grad and (id(p) in of_encoder) == inside
        ]
        for decays in (True, False):
            parameters = [p for p in trained if (p.ndim > 1) == decays]
            if parameters:
                decay = weight_decay if decays else 0.0
                groups.append(
                    {"params": parameters, "lr": rate, "weight_decay": decay, "name": name}
                )
    return AdamW(groups, lr=lr, betas=(0.9, 0.95))


def warm_up_cosine(step: int, warm_up: int, total: int, floor: float) -> float:
    """Factor of the learning rate at a step, counted from 0.

    Rises in equal parts to 1 at the last of `warm_up` steps, then falls along a half cosine to
    `floor` at the last of `total` steps, where it stays.
    """
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up + 1) / max(1, total - warm_up))
    return floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2


def scheduled(optimizer: Optimizer, warm_up: int, total: int, floor: float) -> LambdaLR:
    """`warm_up_cosine` for every group of an optimizer, to be stepped after it."""
    return LambdaLR(optimizer, lambda step: warm_up_cosine(step, warm_up, total, floor))


def rates(optimizer: Optimizer) -> dict[str, float]:
    """Present learning rate of the encoder and of the rest, by name of the group."""
    return {str(group["name"]): float(group["lr"]) for group in optimizer.param_groups}

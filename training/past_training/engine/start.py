"""What a run begins with: model, optimizer and schedule, ready for the loop."""

from __future__ import annotations

from lightning_fabric import Fabric

from past_training.engine.early_stop import EarlyStop
from past_training.engine.pair_model import PairModel
from past_training.engine.schedule import adamw, scheduled
from past_training.engine.training import Feed, Training


def begun(
    fabric: Fabric,
    model: PairModel,
    feed: Feed,
    *,
    total_steps: int,
    warmup_steps: int,
    lr: float,
    min_lr: float,
    encoder_lr_factor: float,
    weight_decay: float,
    patience: int | None,
) -> Training:
    """A training at its first step.

    Parameters
    ----------
    total_steps, warmup_steps
        Steps of the optimizer in the whole run, and of these how many the rate rises.
    encoder_lr_factor
        The image tower learns at this times the rate.
    patience
        Validations in a row without a new best that end the run; None never ends it.
    """
    optimizer = adamw(model, model.image_tower, lr, encoder_lr_factor, weight_decay)
    schedule = scheduled(optimizer, warmup_steps, total_steps, min_lr / lr)
    wrapped, wrapped_optimizer = fabric.setup(model, optimizer)
    return Training(wrapped, wrapped_optimizer, schedule, feed, EarlyStop(patience))

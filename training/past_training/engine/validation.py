"""The loss on tissue that is not trained on."""

from __future__ import annotations

from collections import defaultdict

import torch
from lightning_fabric import Fabric

from past_training.engine.inputs import inputs_of
from past_training.engine.training import Feed, Training
from past_training.objectives.config import ObjectiveConfig, total_loss

MOST_BATCHES = 200
"""Of a validation; the other processes wait for the first meanwhile."""


class Validation:
    """Mean loss over the batches of held-out sections, computed by the first process alone.

    So it does not depend on the number of processes: a contrastive loss grows with its batch.

    Parameters
    ----------
    feed
        Of the first process, in a fixed order; None in the others.
    """

    def __init__(self, fabric: Fabric, feed: Feed | None, objective: ObjectiveConfig) -> None:
        self._fabric = fabric
        self._feed = feed
        self._start = feed.state() if feed is not None else {}
        self._objective = objective

    def __call__(self, training: Training) -> dict[str, float]:
        """The mean loss (``loss``) and its parts, told to every process."""
        values = self._measured(training) if self._feed is not None else {}
        return self._fabric.broadcast(values)

    def _measured(self, training: Training) -> dict[str, float]:
        assert self._feed is not None
        self._feed.restore(self._start)
        model = training.model.module
        model.eval()
        # The second view is drawn alike each time, so that losses can be compared.
        generator = torch.Generator().manual_seed(0)
        sums: defaultdict[str, float] = defaultdict(float)
        n = min(len(self._feed), MOST_BATCHES)
        for _, batch in zip(range(n), self._feed.epoch(0), strict=False):
            inputs = inputs_of(
                batch,
                self._fabric.device,
                stain_jitter=None,
                two_views=self._objective.self_supervised > 0,
                generator=generator,
            )
            with torch.no_grad(), self._fabric.autocast():
                outputs = model(inputs)
            outputs = outputs._make(None if x is None else x.float() for x in outputs)
            loss, parts = total_loss(self._objective, outputs, inputs.batch, gather=False)
            sums["loss"] += float(loss) / n
            for name, value in parts.items():
                sums[name] += value / n
        return dict(sums)

"""Which objectives a run has, and the one number that they add up to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, Self

import pydantic
import torch
from pydantic import Field
from torch import Tensor

from napari_past.model.strict import Strict
from past_training.objectives.anchor import anchor_loss
from past_training.objectives.contrastive import (
    Targets,
    gathered,
    near_pairs,
    neighbour_contrastive_loss,
)
from past_training.objectives.expression import (
    log1p_mse,
    negative_binomial_nll,
    poisson_nll,
    row_rates,
)
from past_training.objectives.outputs import Outputs
from past_training.objectives.self_supervised import variance_invariance_covariance_loss
from past_training.objectives.texture import texture_loss

if TYPE_CHECKING:
    from past_training.dataset.batches import Batch

ExpressionLoss = Literal["poisson", "negative-binomial", "log1p-mse"]
Weight = Annotated[float, Field(ge=0)]


class ObjectiveConfig(Strict):
    """Weight of each part; 0 leaves a part out."""

    contrastive: Weight = 0.0
    """`neighbour_contrastive_loss` over the joint batch of all processes."""
    targets: Targets = "pre"
    spare_neighbours: bool = False
    """Whether neighbours in tissue are left out of the negatives."""
    expression: Weight = 0.0
    """Rates of nuclei, averaged over each row, against its counts."""
    expression_loss: ExpressionLoss = "negative-binomial"
    self_supervised: Weight = 0.0
    """`variance_invariance_covariance_loss` between two views; needs no measurement."""
    texture: Weight = 0.0
    """`texture_loss` of what each embedding tells of its surroundings; needs no measurement."""
    anchor: Weight = 0.0
    """`anchor_loss` to the tower as it was."""

    @pydantic.model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not (self.contrastive or self.expression or self.self_supervised or self.texture):
            raise ValueError(
                "contrastive, expression, self_supervised and texture are all 0: there is nothing "
                "to learn"
            )
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts with a weight."""
        names = ("contrastive", "expression", "self_supervised", "texture", "anchor")
        return tuple(name for name in names if getattr(self, name))


def total_loss(
    config: ObjectiveConfig, outputs: Outputs, batch: Batch, gather: bool = True
) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of all parts, and each part as it is before its weight.

    Parameters
    ----------
    outputs
        Of the model; what a part with a weight reads must be there.
    batch
        The rows and nuclei that the outputs are of, on the same device.
    gather
        Whether contrasts and views are taken over the batches of all processes; all of them must
        then call this. False for what one process does alone, such as validation.
    """
    joined = gathered if gather else _alone
    parts: dict[str, tuple[float, Tensor]] = {}
    if config.contrastive:
        loss = _contrastive(config, outputs, batch, joined)
        parts["contrastive"] = (config.contrastive, loss)
    if config.expression:
        loss = _expression(config, outputs, batch)
        parts["expression"] = (config.expression, loss)
    if config.self_supervised:
        a_NP, b_NP = _made(outputs.view_a_NP), _made(outputs.view_b_NP)
        loss = variance_invariance_covariance_loss(joined(a_NP), joined(b_NP))
        parts["self_supervised"] = (config.self_supervised, loss)
    if config.texture:
        loss = texture_loss(_made(outputs.described_NT), _made(outputs.texture_NT))
        parts["texture"] = (config.texture, loss)
    if config.anchor:
        loss = anchor_loss(_made(outputs.trained_NE), _made(outputs.frozen_NE))
        parts["anchor"] = (config.anchor, loss)
    total = torch.stack([weight * loss for weight, loss in parts.values()]).sum()
    # One transfer from the device for all of them.
    values = torch.stack([loss.detach() for _, loss in parts.values()]).tolist()
    return total, dict(zip(parts, values, strict=True))


def _contrastive(
    config: ObjectiveConfig, outputs: Outputs, batch: Batch, joined: Callable[[Tensor], Tensor]
) -> Tensor:
    seen_R = _rows_with_nuclei(batch)
    near_NN = None
    if config.spare_neighbours and batch.neighbours is not None:
        near_NN = near_pairs(joined(batch.row_index[seen_R]), joined(batch.neighbours[seen_R]))
    return neighbour_contrastive_loss(
        joined(_made(outputs.image_RD)[seen_R]),
        joined(_made(outputs.cell_RD)[seen_R]),
        joined(_made(outputs.image_pre_RE)[seen_R]),
        joined(_made(outputs.cell_pre_RF)[seen_R]),
        _made(outputs.tau),
        config.targets,
        near_NN,
    )


def _expression(config: ObjectiveConfig, outputs: Outputs, batch: Batch) -> Tensor:
    seen_R = _rows_with_nuclei(batch)
    rates_NG = _made(outputs.rates_NG)
    rates_RG = row_rates(rates_NG, batch.row_of_nucleus, len(seen_R))[seen_R]
    counts_RG, total_R = batch.counts[seen_R], batch.total[seen_R]
    measured_RG = batch.measured[seen_R]
    if config.expression_loss == "poisson":
        return poisson_nll(rates_RG, counts_RG, total_R, measured_RG)
    if config.expression_loss == "log1p-mse":
        return log1p_mse(rates_RG, counts_RG, total_R, _made(outputs.deviation_G), measured_RG)
    dispersion_G = _made(outputs.log_dispersion_G)
    return negative_binomial_nll(rates_RG, counts_RG, total_R, dispersion_G, measured_RG)


def _rows_with_nuclei(batch: Batch) -> Tensor:
    """bool (R,): rows of which something was seen; the others cannot be predicted."""
    return torch.bincount(batch.row_of_nucleus, minlength=len(batch.total)) > 0


def _alone(x: Tensor) -> Tensor:
    return x


def _made(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the model does not make what an objective with a weight reads"
    return tensor

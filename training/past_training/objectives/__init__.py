"""Objectives: plain functions, tensors in, scalars out; one config composes them."""

from past_training.objectives.anchor import anchor_loss
from past_training.objectives.config import ObjectiveConfig, total_loss
from past_training.objectives.contrastive import (
    Temperature,
    clip_loss,
    gathered,
    near_pairs,
    neighbour_contrastive_loss,
)
from past_training.objectives.expression import (
    expected_counts,
    log1p_mse,
    negative_binomial_nll,
    poisson_nll,
    row_rates,
)
from past_training.objectives.identifiability import Identifiability, identifiability
from past_training.objectives.outputs import Outputs
from past_training.objectives.pseudo_spots import PseudoSpots, pseudo_spots
from past_training.objectives.self_supervised import variance_invariance_covariance_loss
from past_training.objectives.texture import texture, texture_loss

__all__ = [
    "Identifiability",
    "ObjectiveConfig",
    "Outputs",
    "PseudoSpots",
    "Temperature",
    "anchor_loss",
    "clip_loss",
    "expected_counts",
    "gathered",
    "identifiability",
    "log1p_mse",
    "near_pairs",
    "negative_binomial_nll",
    "neighbour_contrastive_loss",
    "poisson_nll",
    "pseudo_spots",
    "row_rates",
    "texture",
    "texture_loss",
    "total_loss",
    "variance_invariance_covariance_loss",
]

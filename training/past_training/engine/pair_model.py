"""The model of a pretraining run: an image tower, a cell tower, and what the objectives read.

Shapes: N nuclei, R rows, G genes, E and F embeddings of the towers, D of the projections.
"""

from __future__ import annotations

import copy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from past_training.engine.cell_tower import CountTower, Neighbourhood, TokenTower
from past_training.engine.gene_levels import GeneLevels
from past_training.engine.inputs import Inputs
from past_training.engine.towers import ImageTower
from past_training.objectives.config import ObjectiveConfig
from past_training.objectives.contrastive import Temperature
from past_training.objectives.expression import row_rates as row_means
from past_training.objectives.outputs import Outputs
from past_training.objectives.texture import TEXTURES, texture

PROJECTED, EXPANDED = 256, 512
# softplus of this is 1: a rate starts at its gene's mean.
_UNIT = 0.5413248546129181


class Projection(nn.Module):
    """PAST's head: two layers with a shortcut around the second, then unit length."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, PROJECTED)
        self.second = nn.Sequential(nn.GELU(), nn.Linear(PROJECTED, PROJECTED), nn.Dropout(0.1))
        self.norm = nn.LayerNorm(PROJECTED)

    def forward(self, x_NE: Tensor) -> Tensor:
        """Projections (N, D) of length 1."""
        first_ND = self.first(x_NE)
        return normalize(self.norm(first_ND + self.second(first_ND)), dim=1)


class RateHead(nn.Module):
    """Rates of genes, never negative, as multiples of each gene's mean rate in training."""

    mean_rate_G: Tensor

    def __init__(self, dim: int, mean_rate_G: Tensor) -> None:
        super().__init__()
        self.layer = nn.Linear(dim, len(mean_rate_G))
        nn.init.zeros_(self.layer.weight)
        nn.init.constant_(self.layer.bias, _UNIT)
        # A gene that was never seen in training still gets a rate above 0.
        self.register_buffer("mean_rate_G", mean_rate_G.clamp(min=1e-4))

    def forward(self, nuclei_NE: Tensor) -> Tensor:
        """Rates (N, G) in counts per 10k."""
        return softplus(self.layer(nuclei_NE)) * self.mean_rate_G


class PairModel(nn.Module):
    """Makes what the objectives with a weight read, and has no parameter beyond that.

    Parameters
    ----------
    cell_tower, cell_dim
        Of the contrastive objective, which alone needs it, and the length of its vectors.
    levels
        Of each gene over the training rows.
    """

    deviation_G: Tensor

    def __init__(
        self,
        objective: ObjectiveConfig,
        image_tower: ImageTower,
        cell_tower: CountTower | TokenTower | None,
        cell_dim: int,
        levels: GeneLevels,
    ) -> None:
        super().__init__()
        self.objective = objective
        self.image_tower = image_tower
        dim = image_tower.embed_dim
        if objective.anchor:
            self.frozen = copy.deepcopy(image_tower).eval().requires_grad_(False)
        if objective.contrastive:
            assert cell_tower is not None, "contrasts need a cell tower"
            self.cell_tower = cell_tower
            self.neighbourhood = Neighbourhood(cell_dim)
            self.image_head = Projection(dim)
            self.cell_head = Projection(cell_dim)
            self.temperature = Temperature()
        if objective.expression:
            self.rate_head = RateHead(dim, levels.mean_rate_G)
            self.register_buffer("deviation_G", levels.deviation_G)
            if objective.expression_loss == "negative-binomial":
                self.log_dispersion_G = nn.Parameter(torch.zeros(len(levels.mean_rate_G)))
        if objective.self_supervised:
            self.expander = nn.Sequential(
                nn.Linear(dim, EXPANDED), nn.LayerNorm(EXPANDED), nn.GELU(),
                nn.Linear(EXPANDED, EXPANDED),
            )  # fmt: skip

        if objective.texture:
            self.texture_head = nn.Linear(dim, TEXTURES)

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but the tower as it was."""
        super().train(mode)
        if self.objective.anchor:
            self.frozen.eval()
        return self

    def forward(self, inputs: Inputs) -> Outputs:
        """What the objectives read."""
        objective, batch = self.objective, inputs.batch
        nuclei_NE = self.image_tower(inputs.image_BCHW, inputs.where_N3)
        outputs = Outputs()
        if objective.contrastive:
            image_RE = row_means(nuclei_NE, batch.row_of_nucleus, inputs.n_rows)
            cell_RF = self._cells(inputs)
            outputs = outputs._replace(
                image_RD=self.image_head(image_RE),
                cell_RD=self.cell_head(cell_RF),
                image_pre_RE=image_RE,
                cell_pre_RF=cell_RF,
                tau=self.temperature(),
            )
        if objective.expression:
            outputs = outputs._replace(
                rates_NG=self.rate_head(nuclei_NE), deviation_G=self.deviation_G
            )
            if objective.expression_loss == "negative-binomial":
                # A copy: Fabric hangs a hook on every tensor that leaves a model, each time anew.
                outputs = outputs._replace(log_dispersion_G=self.log_dispersion_G.clone())
        if objective.self_supervised:
            assert inputs.second is not None, "a second view is made with inputs_of(two_views=True)"
            outputs = outputs._replace(
                view_a_NP=self.expander(nuclei_NE),
                view_b_NP=self.expander(self.image_tower(*inputs.second)),
            )
        if objective.texture:
            outputs = outputs._replace(
                described_NT=self.texture_head(nuclei_NE),
                texture_NT=texture(inputs.image_BCHW, inputs.where_N3),
            )
        if objective.anchor:
            with torch.no_grad():
                frozen_NE = self.frozen(inputs.image_BCHW, inputs.where_N3)
            outputs = outputs._replace(trained_NE=nuclei_NE, frozen_NE=frozen_NE)
        return outputs

    def _cells(self, inputs: Inputs) -> Tensor:
        """Vectors (R, F) of what was measured, each with its neighbours."""
        batch = inputs.batch
        if isinstance(self.cell_tower, TokenTower):
            assert batch.tokens is not None
            cell_RF = self.cell_tower(batch.tokens)
        else:
            cell_RF = self.cell_tower(batch.counts, batch.total)
        neighbour_RK = inputs.neighbour_RK
        if neighbour_RK is None:
            neighbour_RK = batch.row_of_nucleus.new_empty(len(cell_RF), 0)
        result: Tensor = self.neighbourhood(cell_RF, neighbour_RK)
        return result

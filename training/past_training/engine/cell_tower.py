"""Cell towers: a vector for what was measured in a row, and for the tissue around it.

Shapes: R rows, G genes, T tokens, K neighbours, F numbers of a cell vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from past_training.objectives.expression import PER

HEADS = 16
"""Of attention in the tower over tokens; a cell vector's length is a multiple of it."""
VOCABULARY, PAD, PREFIX, TOKENS = 20345, 1, 3, 300
"""Of the published PAST layout: ids below 30 are special, three of them stand before the genes."""


class CountTower(nn.Module):
    """A perceptron over log1p(counts per 10k)."""

    def __init__(self, genes: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(genes, 2 * dim), nn.GELU(), nn.LayerNorm(2 * dim), nn.Linear(2 * dim, dim)
        )

    def forward(self, counts_RG: Tensor, total_R: Tensor) -> Tensor:
        """Cell vectors (R, F)."""
        per_10k_RG = counts_RG * (PER / total_R.clamp(min=1))[:, None]
        result: Tensor = self.layers(torch.log1p(per_10k_RG))
        return result


class TokenTower(nn.Module):
    """A transformer over ranked gene tokens, with the measures of PAST's cell tower by default.

    A cell's vector is the mean over its genes, padding left out.
    """

    def __init__(self, dim: int = 512, layers: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, dim, padding_idx=PAD)
        self.position_TF = nn.Parameter(0.02 * torch.randn(TOKENS, dim))
        layer = nn.TransformerEncoderLayer(dim, HEADS, 2 * dim, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, tokens_RT: Tensor) -> Tensor:
        """Cell vectors (R, F)."""
        empty_RT = tokens_RT == PAD
        states_RTF = self.embedding(tokens_RT) + self.position_TF
        states_RTF = self.encoder(states_RTF, src_key_padding_mask=empty_RT)
        gene_RT1 = ~empty_RT[:, PREFIX:, None]
        sums_RF = (states_RTF[:, PREFIX:] * gene_RT1).sum(1)
        return sums_RF / gene_RT1.sum(1).clamp(min=1)


class Neighbourhood(nn.Module):
    """Lets a cell's vector attend to those of its neighbours in the batch, as PAST's does.

    What an image shows around a cell is then known to the other side as well.
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, cell_RF: Tensor, neighbour_RK: Tensor) -> Tensor:
        """Cell vectors (R, F) that know their neighbours.

        Parameters
        ----------
        neighbour_RK
            Rows of the batch, −1 where there are fewer.
        """
        own_R1 = torch.arange(len(cell_RF), device=cell_RF.device)[:, None]
        # A cell is in its own neighbourhood, so that there is always something to attend to.
        place_RK = torch.cat([own_R1, neighbour_RK], dim=1)
        around_RKF = cell_RF[place_RK.clamp(min=0)]
        fused_R1F, _ = self.attention(
            cell_RF[:, None], around_RKF, around_RKF, key_padding_mask=place_RK < 0,
            need_weights=False,
        )  # fmt: skip
        result: Tensor = self.norm(cell_RF + fused_R1F[:, 0])
        return result

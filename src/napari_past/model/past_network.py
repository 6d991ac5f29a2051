"""PAST's cell side in torch: cell tower, graph branch, projection head.

Shapes: N cells, P token positions, D numbers of a cell, H heads, K nodes of a cell's graph (its
neighbours, then the cell itself), E numbers of an embedding.
Imported by the first call that encodes tokens, since torch takes seconds to load. They compute what
the published network computes of the same tensors; `state_dict_adapter` has their names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_past.model.card import CellTowerCard

FUSION_HEADS = 4
GRAPH_DIM = 256
"""Width between the two layers of the graph branch."""
NEGATIVE_SLOPE = 0.2
"""Of the leaky ReLU of graph attention (Veličković et al. 2018, ICLR)."""


class ProjectionHead(nn.Module):
    """From a tower's output to the space that both towers share."""

    def __init__(self, dim: int, projection_dim: int) -> None:
        super().__init__()
        self.enter = nn.Linear(dim, projection_dim)
        self.inner = nn.Linear(projection_dim, projection_dim)
        self.norm = nn.LayerNorm(projection_dim)

    def forward(self, vectors_ND: Tensor) -> Tensor:
        """L2-normalised embeddings (N, E)."""
        entered_NE = self.enter(vectors_ND)
        inner_NE = self.inner(functional.gelu(entered_NE))
        return functional.normalize(self.norm(inner_NE + entered_NE), dim=1)


class Attention(nn.Module):
    """Attention of some vectors on others, with several heads."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(dim, 3 * dim)
        self.leave = nn.Linear(dim, dim)

    def forward(self, queries_NQD: Tensor, seen_NPD: Tensor, mask: Tensor) -> Tensor:
        """(N, Q, D).

        Parameters
        ----------
        mask
            Broadcasts to (N, H, Q, P): False hides a position, or a number is added to its weight.
        """
        weight_q, weight_kv = self.enter.weight.tensor_split([queries_NQD.shape[-1]])
        bias_q, bias_kv = self.enter.bias.tensor_split([queries_NQD.shape[-1]])
        queries = functional.linear(queries_NQD, weight_q, bias_q)
        keys, values = functional.linear(seen_NPD, weight_kv, bias_kv).chunk(2, dim=-1)
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (queries, keys, values)
        )
        seen_NHQD = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        result: Tensor = self.leave(seen_NHQD.transpose(1, 2).flatten(2))
        return result


class TransformerLayer(nn.Module):
    """Attention, then two linear layers; normalised after each."""

    def __init__(self, dim: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, feed_forward)
        self.contract = nn.Linear(feed_forward, dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, tokens_NPD: Tensor, seen_N11P: Tensor) -> Tensor:
        """(N, P, D)."""
        x_NPD = self.norm1(tokens_NPD + self.attention(tokens_NPD, tokens_NPD, seen_N11P))
        result: Tensor = self.norm2(x_NPD + self.contract(functional.relu(self.expand(x_NPD))))
        return result


class CellTower(nn.Module):
    """One vector for a cell from its ranked genes."""

    def __init__(self, card: CellTowerCard) -> None:
        super().__init__()
        self.pad = card.pad
        self.prefix = card.prefix
        self.tokens = nn.Embedding(card.vocabulary, card.dim)
        self.positions = nn.Embedding(card.positions, card.dim)
        self.layers = nn.ModuleList(
            TransformerLayer(card.dim, card.heads, card.feed_forward) for _ in range(card.layers)
        )

    def forward(self, ids_NP: Tensor) -> Tensor:
        """(N, D): the mean behind the prefix, over padding too, as the weights were trained."""
        seen_N11P = (ids_NP != self.pad)[:, None, None]
        x_NPD = self.tokens(ids_NP) + self.positions.weight[: ids_NP.shape[1]]
        for layer in self.layers:
            x_NPD = layer(x_NPD, seen_N11P)
        return x_NPD[:, self.prefix :].mean(1)


class GraphAttention(nn.Module):
    """Graph attention with one head where every node sees every node, itself too."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, out_dim, bias=False)
        self.source_11D = nn.Parameter(torch.zeros(1, 1, out_dim))
        self.target_11D = nn.Parameter(torch.zeros(1, 1, out_dim))
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, nodes_NKF: Tensor) -> Tensor:
        """(N, K, D)."""
        x_NKD = self.linear(nodes_NKF)
        source_N1K = (x_NKD * self.source_11D).sum(-1)[:, None]
        target_NK1 = (x_NKD * self.target_11D).sum(-1)[:, :, None]
        logits_NKK = functional.leaky_relu(target_NK1 + source_N1K, NEGATIVE_SLOPE)
        return logits_NKK.softmax(-1) @ x_NKD + self.bias


class GraphBranch(nn.Module):
    """What a cell's neighbours add to its vector."""

    bias_12: Tensor
    """Added to the weights of the cell's own vector and of its graph's."""

    def __init__(self, card: CellTowerCard) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [GraphAttention(card.positions, GRAPH_DIM), GraphAttention(GRAPH_DIM, card.dim)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(GRAPH_DIM), nn.LayerNorm(card.dim)])
        self.fusion = Attention(card.dim, FUSION_HEADS)
        self.fusion_norm = nn.LayerNorm(card.dim)
        self.bias_12 = nn.Parameter(torch.zeros(1, 2))

    def forward(self, cell_ND: Tensor, ids_NKP: Tensor) -> Tensor:
        """(N, D).

        Parameters
        ----------
        cell_ND
            What the cell tower gives of the last node.
        ids_NKP
            Token ids of the neighbours, then of the cell itself: read as numbers.
        """
        first, second = self.layers
        norm1, norm2 = self.norms
        x_NKF = functional.relu(norm1(first(ids_NKP.to(cell_ND.dtype))))
        graph_ND = norm2(second(x_NKF))[:, -1]
        seen_N2D = torch.stack([cell_ND, graph_ND], dim=1)
        fused_ND = self.fusion(cell_ND[:, None], seen_N2D, self.bias_12)[:, 0]
        result: Tensor = self.fusion_norm(fused_ND + cell_ND)
        return result


class CellEncoder(nn.Module):
    """From token ids to embeddings: all of PAST's cell side."""

    def __init__(self, card: CellTowerCard, projection_dim: int) -> None:
        super().__init__()
        self.tower = CellTower(card)
        self.graph = GraphBranch(card) if card.graph else None
        self.projection = ProjectionHead(card.dim, projection_dim)

    def forward(self, ids_NP: Tensor, neighbours_NKP: Tensor | None) -> Tensor:
        """L2-normalised embeddings (N, E)."""
        cell_ND = self.tower(ids_NP)
        # The graph branch reads ids as numbers, which half precision would round.
        with torch.autocast(ids_NP.device.type, enabled=False):
            cell_ND = cell_ND.float()
            if neighbours_NKP is not None:
                assert self.graph is not None, "neighbours without a graph branch"
                nodes_NKP = torch.cat([neighbours_NKP, ids_NP[:, None]], dim=1)
                cell_ND = self.graph(cell_ND, nodes_NKP)
            result: Tensor = self.projection(cell_ND)
        return result

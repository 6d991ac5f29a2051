"""What a layer of attention among tokens consists of, whichever the attention."""

from __future__ import annotations

from torch import Tensor, nn

from past_training.slide_level.networks.pooling import HEADS


class TokenLayer(nn.Module):
    """Attention and a small network, each after a norm and beside a bypass."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.leave = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def heads(self, x_NTE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (N, heads, T, E / heads) each."""
        n, t, e = x_NTE.shape
        split = self.queries_keys_values(self.before(x_NTE)).view(n, t, 3, HEADS, e // HEADS)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        return q, k, v

    def added(self, x_NTE: Tensor, mixed: Tensor) -> Tensor:
        """The tokens (N, T, E) after the layer; ``mixed`` values are (N, heads, T, E / heads)."""
        x_NTE = x_NTE + self.leave(mixed.transpose(1, 2).reshape(x_NTE.shape))
        return x_NTE + self.think(x_NTE)

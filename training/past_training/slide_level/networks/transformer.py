"""A transformer over instances that are drawn from the bag."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from past_training.slide_level.networks.pooling import Chunks, Effect, Pooled, Pooling
from past_training.slide_level.networks.sketch import Sketch, keys_of, sketch_of
from past_training.slide_level.networks.token_layer import TokenLayer

LAYERS = 2


class Transformer(Pooling):
    """Self-attention within draws of a bag, read at a class token, and the mean over the draws.

    As tRNAsformer does it (Alsaafin et al. 2023, "Learning to predict RNA sequence expressions
    from whole slide images with applications for search and classification", Commun Biol 6:304):
    a bag of few instances stands for the slide, and several such bags are averaged. Which
    instances are drawn follows from their vectors alone, so that the answer depends neither on
    chance nor on their order; a bag with no more than ``tokens * draws`` is used whole.

    Parameters
    ----------
    tokens
        Instances of a draw.
    draws
        At most so many.
    """

    name = "transformer"
    additive = False

    def __init__(self, dim: int, width: int, tokens: int, draws: int) -> None:
        super().__init__(dim, width)
        self.tokens, self.draws = tokens, draws
        self.enter = nn.Linear(dim, width)
        self.class_token = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(_Layer(width) for _ in range(LAYERS - 1))
        self.last = _Layer(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x_BMD: Tensor, mask_BM: Tensor) -> Pooled:
        """See `Pooling.forward`; the weights are the class token's attention in the last layer."""
        keys_BM = keys_of(x_BMD).masked_fill(~mask_BM, torch.iinfo(torch.int64).max)
        b, m = mask_BM.shape
        tokens = min(self.tokens, m)
        draws = min(self.draws, -(-m // tokens))
        order_BS = keys_BM.argsort(1)[:, : tokens * draws]
        chosen = x_BMD.gather(1, order_BS[..., None].expand(-1, -1, self.dim))
        present = mask_BM.gather(1, order_BS)
        short = tokens * draws - order_BS.shape[1]
        chosen, present = pad(chosen, (0, 0, 0, short)), pad(present, (0, short))
        present = present.view(b * draws, tokens)
        token_NE, attention_NT = self._drawn(chosen.view(b * draws, tokens, self.dim), present)
        # Draws count by how much of the bag they hold; the last one is rarely full.
        part_N = present.sum(1) / present.view(b, -1).sum(1).repeat_interleave(draws)
        vector_BE = (token_NE * part_N[:, None]).view(b, draws, -1).sum(1)
        weights_BS = (attention_NT * part_N[:, None]).detach().reshape(b, -1)
        weights_BM = torch.zeros((b, m)).scatter(1, order_BS, weights_BS[:, : order_BS.shape[1]])
        return Pooled(vector_BE, weights_BM)

    def _drawn(self, x_NTD: Tensor, mask_NT: Tensor) -> tuple[Tensor, Tensor]:
        """Class tokens (N, E) of draws, and their attention (N, T) to instances, 1 in sum."""
        n = len(x_NTD)
        first = self.class_token.expand(n, 1, -1)
        x = torch.cat([first, self.enter(x_NTD)], 1)
        mask = pad(mask_NT, (1, 0), value=True)
        for layer in self.layers:
            x = layer(x, mask)
        token_NE, attention = self.last.first(x, mask)
        on_instances = attention[:, 1:] * mask_NT
        total = on_instances.sum(1, keepdim=True).clamp_min(1e-12)
        return self.norm(token_NE), on_instances / total

    @torch.no_grad()
    def look(self, chunks: Chunks) -> tuple[Tensor, Sketch]:
        """By holding the instances that are drawn, and no others."""
        sketch = sketch_of(chunks, self.tokens * self.draws)
        return self._pooled(sketch.x_SD).vector_BE[0], sketch

    def _pooled(self, x_SD: Tensor) -> Pooled:
        return self(x_SD[None], torch.ones((1, len(x_SD)), dtype=torch.bool))

    def traced(self, chunks: Chunks, seen: Sketch, cotangent_E: Tensor) -> Iterable[Tensor]:
        """Once, of the instances that were drawn."""
        yield self._pooled(seen.x_SD).vector_BE[0] @ cotangent_E

    def effects(
        self, x_MD: Tensor, start: int, seen: Sketch, along_E: Tensor, centre_E: Tensor
    ) -> Effect:
        """Of the whole sketch, and to first order alone: the gradient at an instance times it."""
        with torch.enable_grad():
            x = x_MD.detach().requires_grad_()
            pooled = self._pooled(x)
            (slope_MD,) = torch.autograd.grad(pooled.vector_BE[0] @ along_E, x)
        alone = torch.full((len(x_MD),), torch.nan)
        return Effect(pooled.weights_BM[0], (slope_MD * x_MD).sum(1), alone)


class _Layer(TokenLayer):
    """Attention of all tokens to all."""

    def forward(self, x_NTE: Tensor, mask_NT: Tensor) -> Tensor:
        """All tokens."""
        q, k, v = self.heads(x_NTE)
        # The same for all queries; torch's fast kernel wants it spelt out.
        mask = mask_NT[:, None, None].expand(-1, 1, mask_NT.shape[1], -1)
        return self.added(x_NTE, scaled_dot_product_attention(q, k, v, mask))

    def first(self, x_NTE: Tensor, mask_NT: Tensor) -> tuple[Tensor, Tensor]:
        """The first token (N, E) alone, and its attention (N, T), mean over heads."""
        q, k, v = self.heads(x_NTE)
        scores = q[:, :, :1] @ k.transpose(2, 3) / q.shape[3] ** 0.5
        weights = scores.masked_fill(~mask_NT[:, None, None], -torch.inf).softmax(3)
        return self.added(x_NTE[:, :1], weights @ v)[:, 0], weights[:, :, 0].mean(1)

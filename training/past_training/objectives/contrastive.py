"""Contrastive losses between what is seen of a cell and what was measured in it.

Shapes: N pairs of the joint batch (over all processes), D numbers of a projection.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize

Targets = Literal["pre", "projected", "hard"]

TAU_START, TAU_LEAST, TAU_MOST = 0.07, 0.01, 1.0


class Temperature(nn.Module):
    """The learnable temperature τ of PAST: starts at 0.07, stays within [0.01, 1]."""

    def __init__(self, start: float = TAU_START) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start))

    def forward(self) -> Tensor:
        """τ, a scalar."""
        # The parameter itself is kept within the limits: clamping its use alone would leave one
        # that has stepped over a limit without a gradient to come back by.
        with torch.no_grad():
            self.value.clamp_(TAU_LEAST, TAU_MOST)
        # A copy: Fabric hangs a hook on every tensor that leaves a model, each time anew.
        return self.value.clone()


def clip_loss(
    image_ND: Tensor, cell_ND: Tensor, tau: Tensor | float, spared_NN: Tensor | None = None
) -> Tensor:
    """Symmetric cross-entropy in which every other cell is a negative, a scalar.

    Radford et al. 2021 (arXiv 2103.00020). See `neighbour_contrastive_loss` for the parameters.
    """
    return neighbour_contrastive_loss(
        image_ND, cell_ND, image_ND, cell_ND, tau, targets="hard", neighbour_mask=spared_NN
    )


def neighbour_contrastive_loss(
    image_proj: Tensor,
    cell_proj: Tensor,
    image_pre: Tensor,
    cell_pre: Tensor,
    tau: Tensor | float,
    targets: Targets = "pre",
    neighbour_mask: Tensor | None = None,
) -> Tensor:
    """Symmetric cross-entropy between images and cells of a joint batch, a scalar.

    PAST (arXiv 2507.06418) asks for ``softmax((image·imageᵀ + cell·cellᵀ) / 2τ)`` rather than for
    the pair alone, so that cells which look alike and express alike are not pushed apart. Targets
    of embeddings before the projection keep cell types apart better than those of projected ones
    (H&Enium, bioRxiv 2025.07.22.665986), so they are the default.

    Parameters
    ----------
    image_proj, cell_proj
        (N, D) projections of the same N cells, of any length: directions count.
    image_pre, cell_pre
        (N, E) and (N, F) embeddings before the projection; read by ``targets="pre"`` alone.
    tau
        Temperature, above 0.
    targets
        ``pre`` or ``projected``: which embeddings say how alike two cells are; ``hard``: a cell
        is like itself alone. Targets are labels: no gradient flows through them.
    neighbour_mask
        bool (N, N), True where a pair is neither positive nor negative, as neighbours in space
        are which share pixels and expression. The diagonal always counts.
    """
    image_proj, cell_proj = normalize(image_proj, dim=1), normalize(cell_proj, dim=1)
    logits_NN = image_proj @ cell_proj.T / tau
    n = len(logits_NN)
    own_NN = torch.eye(n, dtype=torch.bool, device=logits_NN.device)
    left_out_NN = torch.zeros_like(own_NN) if neighbour_mask is None else neighbour_mask & ~own_NN
    with torch.no_grad():
        if targets == "hard":
            target_NN = own_NN.to(logits_NN.dtype)
        else:
            if targets == "pre":
                a, b = normalize(image_pre, dim=1), normalize(cell_pre, dim=1)
            else:
                a, b = image_proj, cell_proj
            alike_NN = (a @ a.T + b @ b.T) / (2 * tau)
            target_NN = alike_NN.masked_fill(left_out_NN, -torch.inf).softmax(dim=1)
    by_image = _cross_entropy(logits_NN, target_NN, left_out_NN)
    by_cell = _cross_entropy(logits_NN.T, target_NN, left_out_NN.T)
    return (by_image + by_cell) / 2


def near_pairs(row_N: Tensor, neighbours_NK: Tensor) -> Tensor:
    """bool (N, N): pairs of which one lists the other, and a row met twice in a joint batch.

    Parameters
    ----------
    row_N
        int64, the dataset's number of each row.
    neighbours_NK
        int64, numbers of the rows near it in tissue; −1 fills the list.
    """
    near_NN = row_N[:, None] == row_N[None]
    for listed_N in neighbours_NK.unbind(1):
        near_NN |= listed_N[:, None] == row_N[None]
    near_NN |= near_NN.T.clone()
    return near_NN.fill_diagonal_(False)


def gathered(x: Tensor) -> Tensor:
    """`x` of all processes, one after another along the first axis; gradients find their way back.

    With one process it is `x` itself. Processes may hold different numbers of rows. When every
    process computes the same loss of the gathered rows, the gradient that DDP averages over them
    is that of the joint batch.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return x
    if torch.distributed.get_world_size() == 1:
        return x
    result: Tensor = _Gathered.apply(x)
    return result


class _Gathered(torch.autograd.Function):
    """torch.distributed.nn's all_gather is deprecated and wants the same number of rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rows = x.new_tensor([len(x)], dtype=torch.int64)
        world = torch.distributed.get_world_size()
        all_rows = [torch.empty_like(rows) for _ in range(world)]
        torch.distributed.all_gather(all_rows, rows)
        sizes = [int(n) for n in torch.cat(all_rows).tolist()]
        padded = x.new_zeros(max(sizes), *x.shape[1:])
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in range(world)]
        torch.distributed.all_gather(parts, padded)
        first = sum(sizes[: torch.distributed.get_rank()])
        ctx.own = slice(first, first + len(x))
        return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        torch.distributed.all_reduce(total)
        return total[ctx.own]


def _cross_entropy(logits_NN: Tensor, target_NN: Tensor, left_out_NN: Tensor) -> Tensor:
    log_p_NN = log_softmax(logits_NN.masked_fill(left_out_NN, -torch.inf), dim=1)
    return -(target_NN * log_p_NN.masked_fill(left_out_NN, 0)).sum(1).mean()

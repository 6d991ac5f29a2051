# ruff: noqa: F821
"""Run by test_gathered in each of two processes: the gathered loss and its gradients.

Given: `rank`, `world`, `store` (a file to meet at), `out`, `sizes` (rows of each process).
"""

import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from past_training.objectives import Temperature, gathered, near_pairs, neighbour_contrastive_loss

torch.set_num_threads(1)
torch.distributed.init_process_group(
    "gloo",
    init_method=f"file://{store}",
    rank=rank,
    world_size=world,
)


class Towers(nn.Module):
    """Two linear towers, from one seed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.image, self.cell = nn.Linear(5, 4), nn.Linear(3, 4)
        self.temperature = Temperature()

    def forward(self, x, y):
        return self.image(x), self.cell(y), self.temperature()


generator = torch.Generator().manual_seed(2)
n = sum(sizes)
x, y = torch.randn(n, 5, generator=generator), torch.randn(n, 3, generator=generator)
rows = torch.arange(n)
neighbours = torch.full((n, 8), -1)
neighbours[0, 0] = n - 1  # a pair that lies in different processes
first = sum(sizes[:rank])
mine = slice(first, first + sizes[rank]) if world > 1 else slice(0, n)

model: nn.Module = Towers()
if world > 1:
    model = DistributedDataParallel(model)
image, cell, tau = model(x[mine], y[mine])
near = near_pairs(gathered(rows[mine]), gathered(neighbours[mine]))
loss = neighbour_contrastive_loss(
    gathered(image), gathered(cell), gathered(x[mine]), gathered(y[mine]), tau, "pre", near
)
loss.backward()
gradients = [p.grad for p in model.parameters()]
torch.save({"loss": loss.detach(), "gradients": gradients}, out)
torch.distributed.destroy_process_group()

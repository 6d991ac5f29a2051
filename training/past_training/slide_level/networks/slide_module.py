"""A pooling with its head, and what vectors are made ready by.

Shapes: B bags, M instances, D numbers of an instance, E of a pooled vector, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from past_training.slide_level.networks.pooling import Chunks, Pooled, Pooling
from past_training.slide_level.networks.streamed import stream_pooled


class SlideModule(nn.Module):
    """Instances, standardised → pooled vector, standardised → outputs, by a linear head.

    All standardisation is that of the training bags. Pooled vectors differ far less between bags
    than instances do within one; without theirs, a head would have to grow for a hundred steps.

    Parameters
    ----------
    outputs
        Numbers that the head gives.
    dropout
        Share of a pooled vector's numbers that is left out in training.
    """

    instance_mean: Tensor
    instance_deviation: Tensor
    vector_mean: Tensor
    vector_deviation: Tensor
    output_mean: Tensor
    output_deviation: Tensor

    def __init__(self, pooling: Pooling, outputs: int, dropout: float) -> None:
        super().__init__()
        self.pooling = pooling
        sizes = {"instance": pooling.dim, "vector": pooling.width, "output": outputs}
        for name, size in sizes.items():
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_deviation", torch.ones(size))
        self.sides = nn.ModuleDict()
        """What brings other modalities into the space of the outputs, where there are any."""
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(pooling.width, outputs)
        # Nearly the same for all bags at first: the first steps see no invented differences.
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def standardise(self, name: str, mean: Tensor, deviation: Tensor) -> None:
        """Set what is subtracted from, and divides, the ``instance``, ``vector`` or ``output``;
        numbers that do not vary stay as they are."""
        flat = deviation < 1e-6
        with torch.no_grad():
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_deviation").copy_(torch.where(flat, 1.0, deviation))

    def recentre(self, mean_E: Tensor, deviation_E: Tensor) -> None:
        """Standardise pooled vectors by other numbers, with the outputs as they were."""
        with torch.no_grad():
            before = self.vector_mean.clone(), self.vector_deviation.clone()
            self.standardise("vector", mean_E, deviation_E)
            moved_E = (self.vector_mean - before[0]) / before[1]
            self.head.bias.add_(self.head.weight @ moved_E)
            self.head.weight.mul_(self.vector_deviation / before[1])

    def ready(self, x: Tensor) -> Tensor:
        """Instances (…, D) as the pooling takes them, float32."""
        return (x.float() - self.instance_mean) / self.instance_deviation

    def pooled(self, x_BMD: Tensor, mask_BM: Tensor) -> Pooled:
        """Padded bags, float16 or float32, as vectors that are not standardised yet."""
        return self.pooling(self.ready(x_BMD), mask_BM)

    def streamed(self, chunks: Chunks) -> Tensor:
        """The same of one bag read piece by piece, (E,)."""
        return stream_pooled(self.pooling, self.readied(chunks))

    def readied(self, chunks: Chunks) -> Chunks:
        """The pieces as the pooling takes them."""
        return lambda: map(self.ready, chunks())

    def representation(self, vector_BE: Tensor) -> Tensor:
        """Pooled vectors, standardised over the training bags, (B, E)."""
        return (vector_BE - self.vector_mean) / self.vector_deviation

    def scaled_outputs(self, vector_BE: Tensor) -> Tensor:
        """What losses see, (B, O): in deviations of each output where it has a unit."""
        return self.head(self.dropout(self.representation(vector_BE)))

    def outputs(self, vector_BE: Tensor) -> Tensor:
        """In the unit of each output, (B, O)."""
        return self.scaled_outputs(vector_BE) * self.output_deviation + self.output_mean

    def direction(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The direction (E,) of pooled vectors along which a weighted sum of outputs grows, and
        what that sum is at `vector_mean`.

        Parameters
        ----------
        output
            (O,) weights of the outputs.
        """
        weight_O = output * self.output_deviation
        along_E = (weight_O @ self.head.weight) / self.vector_deviation
        return along_E, weight_O @ self.head.bias + output @ self.output_mean

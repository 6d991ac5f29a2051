"""From a cell's vector to expression, in numpy: a viewer that shows results imports no torch.

Shapes: N cells, D numbers of a vector, H hidden units, G genes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.model.halves import product
from napari_past.types import FloatArray

READOUT = "readout."
"""Tensors of a read-out begin with this."""
_ROWS = 4096
"""Cells whose hidden units are held at once: a slide's would be as large as its vectors."""

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Values are ``vectors @ weight.T + bias``."""

    weight: Float32
    """(G, D)."""
    bias: Float32
    """(G,)."""

    @property
    def hidden_units(self) -> int | None:
        """As a card tells it: there are none."""
        return None

    @property
    def tensors(self) -> dict[str, Float32]:
        """As a model file holds them."""
        return {f"{READOUT}weight": self.weight, f"{READOUT}bias": self.bias}

    def expression(self, vectors_ND: FloatArray, genes: Sequence[int] | None = None) -> Float32:
        """Values of some genes, by their places, or of all: float32 (N, len(genes))."""
        weight, bias = _of_genes(self.weight, self.bias, genes)
        return product(vectors_ND, weight.T) + bias


@dataclass(frozen=True, eq=False)
class MlpReadout:
    """One hidden layer: ``max(vectors @ hidden_weight.T + hidden_bias, 0) @ weight.T + bias``."""

    hidden_weight: Float32
    """(H, D)."""
    hidden_bias: Float32
    """(H,)."""
    weight: Float32
    """(G, H)."""
    bias: Float32
    """(G,)."""

    @property
    def hidden_units(self) -> int | None:
        """As a card tells it."""
        return len(self.hidden_bias)

    @property
    def tensors(self) -> dict[str, Float32]:
        """As a model file holds them."""
        return {
            f"{READOUT}hidden.weight": self.hidden_weight,
            f"{READOUT}hidden.bias": self.hidden_bias,
            f"{READOUT}weight": self.weight,
            f"{READOUT}bias": self.bias,
        }

    def hidden(self, vectors_ND: FloatArray) -> Float32:
        """What the hidden units give, float32 (N, H); all at once."""
        units_NH = product(vectors_ND, self.hidden_weight.T)
        units_NH += self.hidden_bias
        return np.maximum(units_NH, 0, out=units_NH)

    def expression(self, vectors_ND: FloatArray, genes: Sequence[int] | None = None) -> Float32:
        """Values of some genes, by their places, or of all: float32 (N, len(genes))."""
        weight, bias = _of_genes(self.weight, self.bias, genes)
        values = np.empty((len(vectors_ND), len(bias)), np.float32)
        for start in range(0, len(vectors_ND), _ROWS):
            block = slice(start, start + _ROWS)
            values[block] = self.hidden(vectors_ND[block]) @ weight.T + bias
        return values


Readout = LinearReadout | MlpReadout


def readout_of(tensors: Mapping[str, Float32]) -> Readout:
    """The read-out in a model's tensors, which were checked (`napari_past.model.tensors`)."""
    own = {key.removeprefix(READOUT): tensors[key] for key in tensors if key.startswith(READOUT)}
    if "hidden.weight" not in own:
        return LinearReadout(own["weight"], own["bias"])
    return MlpReadout(own["hidden.weight"], own["hidden.bias"], own["weight"], own["bias"])


def _of_genes(
    weight: Float32, bias: Float32, genes: Sequence[int] | None
) -> tuple[Float32, Float32]:
    return (weight, bias) if genes is None else (weight[list(genes)], bias[list(genes)])

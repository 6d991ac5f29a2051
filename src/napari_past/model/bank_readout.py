"""A read-out that looks cells up among reference cells: any gene of a bank, and cell types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_past.model.bank import Bank
from napari_past.model.files import FOLDER_BANK
from napari_past.model.prototypes import NearestTypes, Prototypes, nearest_types, prototypes
from napari_past.model.reliability import Reliability
from napari_past.model.retrieval import (
    NEIGHBOURS,
    Neighbours,
    TypeVotes,
    expression,
    nearest,
    type_votes,
)

LEAST_DETECTED = 0.05
"""A gene seen in a smaller share of the reference cells counts as not learnable."""


class BankReadout:
    """A bank in use by a model whose projected vectors lie in the bank's space.

    Parameters
    ----------
    temperature
        By which similarities are divided before the softmax that weighs the reference cells.
    """

    def __init__(self, bank: Bank, temperature: float) -> None:
        self.bank = bank
        self.temperature = temperature

    def neighbours(
        self,
        projected: npt.NDArray[np.float32],
        on_share: Callable[[float], None] | None = None,
    ) -> Neighbours:
        """The nearest reference cells of projected vectors (n, d).

        Parameters
        ----------
        on_share
            As `retrieval.nearest` has it.
        """
        k = min(NEIGHBOURS, len(self.bank))
        return nearest(self.bank, projected, k, on_share=on_share)

    def expression(self, neighbours: Neighbours, genes: Sequence[str]) -> npt.NDArray[np.float32]:
        """Weighted mean over each cell's reference cells, float32 (n, len(genes))."""
        return expression(self.bank, neighbours, genes, self.temperature)

    @cached_property
    def knows_types(self) -> bool:
        """Whether there are cell types to tell apart."""
        codes = self.bank.types.codes
        return len(np.unique(codes[codes >= 0])) > 1

    def types(self, projected: npt.NDArray[np.float32]) -> NearestTypes:
        """The cell type whose mean reference cell is nearest to projected vectors (n, d)."""
        return nearest_types(self._prototypes, projected)

    def votes(self, neighbours: Neighbours) -> TypeVotes:
        """The type with the most weight among the reference cells of each cell."""
        return type_votes(self.bank, neighbours, self.temperature)

    @cached_property
    def _prototypes(self) -> Prototypes:
        return prototypes(self.bank)

    @property
    def title(self) -> str:
        """What a person calls the bank: in a folder that is a model, every bank has one name."""
        path = self.bank.path
        return path.parent.name if path.name == FOLDER_BANK else self.bank.name

    @property
    def told(self) -> str:
        """The bank in a few words."""
        studies = ", ".join(self.bank.studies.names) or "study not told"
        return f"{self.bank.name}: {len(self.bank):,} reference cells ({studies})"

    def reliability(self, gene: str) -> Reliability:
        """What is known of a gene that is looked up: where from, and that r was not measured."""
        detected = self.bank.detected(gene)
        learnable = detected >= LEAST_DETECTED
        if learnable:
            label = f"looked up in {self.bank.name}: {len(self.bank):,} cells · r not measured"
        else:
            label = (
                f"not learnable · seen in {100 * detected:.1f} % of the {len(self.bank):,} cells "
                f"of {self.bank.name}"
            )
        return Reliability(gene, learnable, True, None, label)

"""All that a model predicts of cells' vectors: by its own read-out, and by the bank beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_past.errors import UnknownGene
from napari_past.model.card import Card
from napari_past.model.readout import READOUT, Readout, readout_of
from napari_past.model.reliability import Reliability, reliability_of
from napari_past.model.shared_space import SharedSpace
from napari_past.model.tensors import Tensors
from napari_past.types import FloatArray

if TYPE_CHECKING:
    from napari_past.model.bank_readout import BankReadout
    from napari_past.model.prototypes import NearestTypes
    from napari_past.model.retrieval import Neighbours


class Readouts:
    """A gene comes from the model's own read-out where that has it, else from the bank.

    What methods give, and what they raise, is told where `Model` has them.
    """

    def __init__(
        self, card: Card, tensors: Tensors, space: SharedSpace, bank_path: Path | None
    ) -> None:
        self._card = card
        self._tensors = tensors
        self._space = space
        self._bank_path = bank_path
        self._rows = {gene: i for i, gene in enumerate(card.genes)}

    @cached_property
    def own(self) -> Readout:
        """The model's own read-out; it has one where its card has genes."""
        # Widened once: files keep some in half precision, and every tile asks.
        own = {k: v for k, v in self._tensors.items() if k.startswith(READOUT)}
        return readout_of({k: np.asarray(v, np.float32) for k, v in own.items()})

    @cached_property
    def bank(self) -> BankReadout | None:
        """The reference bank that lies beside the weights, opened by the first use."""
        if self._bank_path is None:
            return None
        from napari_past.model.bank import read_bank
        from napari_past.model.bank_readout import BankReadout
        from napari_past.model.retrieval import TEMPERATURE as USUAL

        bank = read_bank(self._bank_path)
        bank.require_model(self._card.name, self._space.cell_sha256)
        return BankReadout(bank, self._space.temperature or USUAL)

    @cached_property
    def genes(self) -> tuple[str, ...]:
        """Of the read-out, then what the bank alone has."""
        looked_up = self.bank.bank.genes if self.bank is not None else ()
        return tuple(dict.fromkeys([*self._card.genes, *looked_up]))

    @cached_property
    def _all_genes(self) -> frozenset[str]:
        return frozenset(self.genes)

    @property
    def unit(self) -> str:
        """Of predicted values. Read-outs of ours and banks have the same, but what a read-out was
        fitted to says nothing of genes that are looked up."""
        if self._bank_path is None:
            return self._card.expression_unit
        from napari_past.model.bank import UNIT

        return UNIT

    def require(self) -> None:
        """Raise `UnknownGene`, with what to do, where no gene at all is predicted."""
        if not self.genes:
            raise UnknownGene(
                f"{self._card.name} has no read-out, so it predicts no gene by itself: fit one on "
                f"paired tissue with `past-train finetune --how head`, or use a reference bank."
            )

    def expression(
        self,
        vectors: npt.NDArray[np.floating],
        genes: Sequence[str],
        neighbours: Neighbours | None = None,
    ) -> FloatArray:
        """Predicted expression, float32 (n, len(genes))."""
        if not genes:
            return np.zeros((len(vectors), 0), np.float32)
        if any(gene not in self._rows for gene in genes):
            self.require()
            return self._partly_looked_up(vectors, genes, neighbours)
        return self.own.expression(vectors, [self._rows[gene] for gene in genes])

    def _partly_looked_up(
        self,
        vectors: npt.NDArray[np.floating],
        genes: Sequence[str],
        neighbours: Neighbours | None,
    ) -> FloatArray:
        """`expression` where the read-out does not have all genes."""
        for gene in genes:
            if gene not in self._all_genes:
                raise UnknownGene(
                    f"Model {self._card.name} does not predict {gene}; choose another gene (it has "
                    f"{len(self.genes)})."
                )
        assert self.bank is not None, "genes of neither read-out nor bank are refused"
        known = self.neighbours(vectors) if neighbours is None else neighbours
        own = np.array([gene in self._rows for gene in genes])
        names = np.array(genes)
        values = np.empty((len(vectors), len(genes)), np.float32)
        values[:, own] = self.expression(vectors, names[own].tolist())
        values[:, ~own] = self.bank.expression(known, names[~own].tolist())
        return values

    def needs_neighbours(self, genes: Sequence[str]) -> bool:
        """Whether one of these genes is looked up in the bank."""
        return self._bank_path is not None and any(gene not in self._rows for gene in genes)

    def neighbours(self, vectors: npt.NDArray[np.floating]) -> Neighbours:
        """The bank's cells nearest to each cell."""
        assert self.bank is not None, "no bank"
        return self.bank.neighbours(self._space.project(vectors))

    def cell_types(self, vectors: npt.NDArray[np.floating]) -> NearestTypes | None:
        """The bank's nearest cell type; None without a bank that has types."""
        if self.bank is None or not self.bank.knows_types:
            return None
        return self.bank.types(self._space.project(vectors))

    def reliability(self, gene: str) -> Reliability:
        """Evidence for one gene."""
        if gene in self._rows:
            return reliability_of(self._card, gene)
        if self.bank is None or gene not in self._all_genes:
            nobody = np.zeros((0, self._card.encoder.tower.embed_dim))
            self.expression(nobody, [gene])  # raises UnknownGene
        assert self.bank is not None, "it was refused"
        return self.bank.reliability(gene)

    def detected(self, gene: str) -> float:
        """Share of rows, or of the bank's cells, in which a gene was seen; NaN: not counted."""
        if gene not in self._rows and self.bank is not None:
            return self.bank.bank.detected(gene)
        return self._card.evidence.detected.get(gene, float("nan"))

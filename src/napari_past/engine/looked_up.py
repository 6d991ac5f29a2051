"""What a model's bank says of the cells of a table, worked out piece by piece in any thread.

    table ─► next_piece ─► Piece ─► work, in any thread ─► Answer ─► take ─► table

A piece holds all that it needs: copies, or rows that never change. Pieces go over the cells in
their order, and of each kind there is one at a time, so that what is known is always of the first
cells of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.engine.growing import GrowingArray
from napari_past.engine.measured import Assay
from napari_past.model import Model
from napari_past.model.prototypes import NearestTypes
from napari_past.model.retrieval import Neighbours, TypeVotes
from napari_past.types import FloatArray

MOST_CELLS, LEAST_CELLS = 8192, 256
"""Of a piece that is looked up."""
PAIRS = 1 << 30
"""Of a cell and a reference cell in a piece: some seconds on two cores."""
VALUED_CELLS = 65_536
"""Of a piece that weighs reference cells that were found."""
MOST_GENES = 8
"""Genes whose values are kept beside those that are wanted: going back to one is instant."""

Kind = Literal["types", "neighbours", "values"]
Answer = NearestTypes | Neighbours | FloatArray
OnShare = Callable[[float], None]
"""Told the share that is done, 0–1; what it raises ends the work."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Work on the cells from `start` to `stop`, for any thread."""

    kind: Kind
    start: int
    stop: int
    genes: tuple[str, ...]
    """Whose values are worked out; of other kinds none."""
    work: Callable[[OnShare], Answer]

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False)
class TypedCells:
    """The nearest cell type of the first cells of a table."""

    names: tuple[str, ...]
    code: npt.NDArray[np.int32]
    """(m,) places among `names`."""
    margin: npt.NDArray[np.float32]
    """(m,) how much nearer the type is than the second, as a difference of cosines."""


class LookedUp:
    """Types, reference cells and values of genes of a table's first cells.

    Not thread-safe: only a piece's `work` may run beside the thread that owns the table.

    Parameters
    ----------
    model
        Its bank, where it has one, is opened by the first question.
    """

    def __init__(self, model: Assay) -> None:
        self._model = model
        self._names: tuple[str, ...] = ()
        self._code, self._margin = GrowingArray(np.int32), GrowingArray(np.float32)
        self._near: GrowingArray | None = None
        self._similarity = GrowingArray(np.float32)
        self._values: dict[str, GrowingArray] = {}

    @property
    def found(self) -> int:
        """Cells whose reference cells are known."""
        return len(self._similarity)

    @property
    def types(self) -> TypedCells:
        """Of the cells whose type is known."""
        return TypedCells(self._names, self._code.values, self._margin.values)

    def neighbours(self, cell: int) -> Neighbours | None:
        """The reference cells of one cell; None where they are not known yet."""
        return self._found(cell, cell + 1) if cell < self.found else None

    def ready(self, genes: Sequence[str]) -> int:
        """Cells whose values of genes of the bank are known, all of these genes."""
        return min(len(self.values(gene)) for gene in genes)

    def values(self, gene: str) -> npt.NDArray[np.float32]:
        """(m,), of a gene of the bank, of the cells that it is known of."""
        known = self._values.get(gene)
        return np.zeros(0, np.float32) if known is None else known.values

    def next_piece(
        self,
        genes: Sequence[str],
        types: bool,
        n: int,
        vectors: Callable[[int, int], npt.NDArray[np.floating]],
    ) -> Piece | None:
        """What is to be worked out next; None where all is known.

        Parameters
        ----------
        genes
            Of the bank, whose values are wanted; empty looks no cell up.
        types
            Whether types are wanted, too; they come first, for they cost next to nothing.
        n
            Cells of the table.
        vectors
            Gives copies of the vectors of some cells.
        """
        model = self._model
        if not isinstance(model, Model) or (bank := model.bank) is None:
            return None
        for gene in [g for g in self._values if g not in genes][:-MOST_GENES]:
            del self._values[gene]
        first = len(self._code)
        if types and first < n and bank.knows_types:
            stop = min(first + MOST_CELLS, n)
            some = vectors(first, stop)
            return Piece("types", first, stop, (), lambda _: bank.types(model.project(some)))
        wanted = tuple(g for g in genes if self.ready([g]) < self.found)
        if wanted:
            first = self.ready(wanted)
            # Genes that are further on wait for the others.
            wanted = tuple(g for g in wanted if self.ready([g]) == first)
            stop = min(first + VALUED_CELLS, self.found)
            known = self._found(first, stop)
            return Piece("values", first, stop, wanted, lambda _: bank.expression(known, wanted))
        if genes and self.found < n:
            first = self.found
            stop = min(first + max(LEAST_CELLS, min(MOST_CELLS, PAIRS // len(bank.bank))), n)
            some = vectors(first, stop)
            return Piece("neighbours", first, stop, (),
                         lambda told: bank.neighbours(model.project(some), told))  # fmt: skip
        return None

    def take(self, piece: Piece, answer: Answer) -> bool:
        """Keep what a piece of work gave; False where it does not follow what is known."""
        if isinstance(answer, NearestTypes):
            if piece.start != len(self._code):
                return False
            self._names = answer.names
            self._code.append(answer.code)
            self._margin.append(answer.margin)
        elif isinstance(answer, Neighbours):
            if piece.start != self.found:
                return False
            if self._near is None:
                columns = answer.index.shape[1]
                self._near = GrowingArray(np.int32, columns)
                self._similarity = GrowingArray(np.float32, columns)
            self._near.append(answer.index)
            self._similarity.append(answer.similarity)
        else:
            if any(self.ready([gene]) != piece.start for gene in piece.genes):
                return False
            for k, gene in enumerate(piece.genes):
                self._values.setdefault(gene, GrowingArray(np.float32)).append(answer[:, k])
        return True

    def _found(self, start: int, stop: int) -> Neighbours:
        assert self._near is not None, "nothing was looked up"
        return Neighbours(self._near.values[start:stop], self._similarity.values[start:stop])


def votes_of(
    model: Assay, vector: npt.NDArray[np.floating], known: Neighbours | None, on_share: OnShare
) -> TypeVotes:
    """What the reference cells nearest to one cell are, for any thread.

    Parameters
    ----------
    vector
        (d,), as the store has it.
    known
        Its reference cells, where they were looked up.
    """
    assert isinstance(model, Model), "no bank"
    bank = model.bank
    assert bank is not None, "no bank"
    if known is None:
        known = bank.neighbours(model.project(vector[None]), on_share)
    return bank.votes(known)

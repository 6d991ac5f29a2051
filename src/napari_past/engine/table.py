"""The cells of finished tiles, in arrays that grow: a tile more costs the tile, not the slide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid5

import numpy as np
import numpy.typing as npt

from napari_past.engine.cells import ID_NAMESPACE
from napari_past.engine.growing import GrowingArray
from napari_past.engine.looked_up import Answer, LookedUp, OnShare, Piece, TypedCells, votes_of
from napari_past.engine.measured import Assay
from napari_past.engine.vector_rows import VectorRows
from napari_past.engine.workers import cores
from napari_past.model.retrieval import TypeVotes
from napari_past.types import FloatArray, Outlines, Rect, TileResult, TileSpec

BLOCK_CELLS = 32_768
"""Embeddings are kept in blocks of so many: growing one array would need its memory twice."""


class CellTable:
    """Cells of one slide with one model, in the order in which their tiles came.

    Not thread-safe: the viewer appends and reads in its GUI thread. What a bank says of the cells
    is worked out in pieces that any thread may run (`next_piece`, `take`).

    Parameters
    ----------
    model
        Gives expression and the distance from its training cells; on real IHC the measured stain.
    fingerprint
        Of the slide; with a cell's place it makes the cell's id.
    """

    def __init__(self, model: Assay, fingerprint: str) -> None:
        self.model = model
        self._fingerprint = fingerprint
        self._rows: dict[TileSpec, tuple[int, int]] = {}
        self._by_place: dict[tuple[int, int], TileSpec] = {}
        self._centers = GrowingArray(np.float64, 2)
        self._areas = GrowingArray(np.float32)
        self._hematoxylin = GrowingArray(np.float32)
        self._unlike = GrowingArray(np.float32)
        self._vertices = GrowingArray(np.float32, 2)
        self._offsets = GrowingArray(np.int64)
        self._offsets.append(np.zeros(1, np.int64))
        self._blocks: list[npt.NDArray[np.floating]] = []
        self._sum = np.zeros(model.embed_dim)
        self._looked_up = LookedUp(model)

    def __len__(self) -> int:
        return len(self._areas.values)

    def append(self, results: Iterable[TileResult]) -> int:
        """Add finished tiles; those that are there already are passed over. Returns how many
        cells were added."""
        before = len(self)
        for result in results:
            if result.tile not in self._rows:
                self._append(result)
        return len(self) - before

    def _append(self, result: TileResult) -> None:
        start, cells = len(self), result.cells
        self._rows[result.tile] = (start, start + len(cells))
        self._by_place[result.tile.column, result.tile.row] = result.tile
        self._offsets.append(cells.outlines.offsets[1:] + self._offsets.values[-1])
        self._vertices.append(cells.outlines.vertices_um)
        self._centers.append(cells.centers_um)
        self._areas.append(cells.areas_um2)
        self._hematoxylin.append(result.hematoxylin_od)
        self._unlike.append(self.model.unlike_training(result.embeddings))
        self._sum += result.embeddings.sum(axis=0, dtype=np.float64)
        rest = result.embeddings
        while len(rest):
            used = start % BLOCK_CELLS
            if used == 0:
                self._blocks.append(np.empty((BLOCK_CELLS, rest.shape[1]), rest.dtype))
            taken = rest[: BLOCK_CELLS - used]
            self._blocks[-1][used : used + len(taken)] = taken
            start, rest = start + len(taken), rest[len(taken) :]

    @property
    def tiles(self) -> Sequence[TileSpec]:
        """Finished tiles, in the order in which they came."""
        return tuple(self._rows)

    def __contains__(self, tile: TileSpec) -> bool:
        return tile in self._rows

    @property
    def centers_um(self) -> npt.NDArray[np.float64]:
        """(n, 2), (x, y) in µm of slide space."""
        return self._centers.values

    @property
    def outlines(self) -> Outlines:
        return Outlines(self._vertices.values, self._offsets.values)

    @property
    def areas_um2(self) -> npt.NDArray[np.float32]:
        """(n,), area of each outline in µm²."""
        return self._areas.values

    @property
    def hematoxylin_od(self) -> npt.NDArray[np.float32]:
        """(n,), haematoxylin optical density at each centre."""
        return self._hematoxylin.values

    @property
    def unlike_training(self) -> npt.NDArray[np.float32]:
        """(n,), distance from the training cells; above 1 the cell looks unlike them."""
        return self._unlike.values

    @property
    def slide_unlike_training(self) -> float:
        """How far the cells as a whole lie from the training's; above 1 flagged, NaN with few."""
        return self.model.mean_unlike_training(self._sum / max(len(self), 1), len(self))

    def embedding(self, cell: int) -> npt.NDArray[np.floating]:
        """(d,), the tower's output for one cell, or what was measured of it."""
        return self._blocks[cell // BLOCK_CELLS][cell % BLOCK_CELLS]

    @property
    def vectors(self) -> VectorRows:
        """The tower's output for the cells of now, for any thread."""
        return VectorRows(self._blocks, len(self))

    def ready(self, genes: Sequence[str]) -> int:
        """How many cells, from the first on, have values of all these genes by now."""
        of_bank = self._of_bank(genes)
        return self._looked_up.ready(of_bank) if of_bank else len(self)

    def expression(
        self, genes: Sequence[str], start: int = 0, stop: int | None = None
    ) -> FloatArray:
        """Predicted expression, float32 (stop − start, g), of exact symbols, in the model's unit.

        Parameters
        ----------
        start
            First cell of interest; those before it may be known from an earlier call.
        stop
            First cell that is not wanted; None for all. Those that are not `ready` are looked up
            in the model's bank here and now: a viewer asks for no more than are ready.

        Raises
        ------
        UnknownGene
        """
        n = len(self) if stop is None else stop
        of_bank = self._of_bank(genes)
        if of_bank and n > self._looked_up.ready(of_bank):
            while (piece := self.next_piece(of_bank, types=False)) is not None:
                self.take(piece, piece.work(lambda share: None))
        own = [gene for gene in genes if gene not in of_bank]
        values = self._read_out(own, start, n)
        if not of_bank:
            return values
        columns = {gene: self._looked_up.values(gene)[start:n] for gene in of_bank}
        columns |= {gene: values[:, k] for k, gene in enumerate(own)}
        return np.stack([columns[gene] for gene in genes], axis=1)

    def _of_bank(self, genes: Sequence[str]) -> list[str]:
        """Those of some genes that are looked up, each once."""
        return [g for g in dict.fromkeys(genes) if self.model.needs_neighbours([g])]

    def _read_out(self, genes: list[str], start: int, n: int) -> FloatArray:
        """`expression` of genes that need no bank."""

        def part(first: int) -> FloatArray:
            block = self._blocks[first // BLOCK_CELLS]
            rows = slice(max(start - first, 0), min(n - first, BLOCK_CELLS))
            return self.model.expression(block[rows], genes)

        firsts = range(start - start % BLOCK_CELLS, n, BLOCK_CELLS)
        nothing = np.zeros((0, len(genes)), np.float32)
        if len(firsts) <= 1:
            return np.concatenate([nothing, *map(part, firsts)])
        # numpy lets go of the interpreter's lock, so that blocks go on all cores.
        with ThreadPoolExecutor(cores()) as pool:
            return np.concatenate([nothing, *pool.map(part, firsts)])

    # ---- the model's bank ----------------------------------------------------------------------

    @property
    def found(self) -> int:
        """How many cells, from the first on, were looked up in the model's bank."""
        return self._looked_up.found

    @property
    def types(self) -> TypedCells:
        """The nearest type of the model's bank, of the cells, from the first on, that have it by
        now."""
        return self._looked_up.types

    def next_piece(self, genes: Sequence[str], types: bool = True) -> Piece | None:
        """Work that is to be done for the values of some genes and for types; None without any."""
        return self._looked_up.next_piece(self._of_bank(genes), types, len(self), self._vectors)

    def take(self, piece: Piece, answer: Answer) -> bool:
        """Keep what a piece of work gave; False where it does not follow what is known."""
        return self._looked_up.take(piece, answer)

    def votes(self, cell: int) -> Callable[[OnShare], TypeVotes]:
        """Work, for any thread, that tells the types of one cell's nearest reference cells."""
        vector, known = self.embedding(cell).copy(), self._looked_up.neighbours(cell)
        return lambda on_share: votes_of(self.model, vector, known, on_share)

    def _vectors(self, start: int, stop: int) -> npt.NDArray[np.floating]:
        """(stop − start, d), a copy of the vectors of some cells."""
        firsts = range(start - start % BLOCK_CELLS, stop, BLOCK_CELLS)
        parts = [
            self._blocks[first // BLOCK_CELLS][max(start - first, 0) : stop - first]
            for first in firsts
        ]
        return np.concatenate(parts)

    def in_rect(self, rect: Rect) -> npt.NDArray[np.intp]:
        """Indices (m,), ascending, of the cells whose centre lies in a rectangle.

        Asks only the tiles that touch it, so it costs the view and not the slide.
        """
        if not self._rows:
            return np.zeros(0, np.intp)
        size_um = next(iter(self._rows)).size_um
        first, last = (
            [math.floor(v / size_um) for v in corner]
            for corner in ((rect.x_um, rect.y_um), (rect.x1_um, rect.y1_um))
        )
        if (last[0] - first[0] + 1) * (last[1] - first[1] + 1) >= len(self._rows):
            return np.flatnonzero(rect.contains(self.centers_um))
        places = (
            self._by_place.get((column, row))
            for row in range(first[1], last[1] + 1)
            for column in range(first[0], last[0] + 1)
        )
        spans = [np.arange(*self._rows[tile]) for tile in places if tile is not None]
        near = np.sort(np.concatenate([np.zeros(0, np.intp), *spans]))
        return near[rect.contains(self.centers_um[near])]

    def cell_id(self, cell: int) -> str:
        """UUID of one cell, the same as in the exported files."""
        x, y = self.centers_um[cell].tolist()
        return str(uuid5(ID_NAMESPACE, f"{self._fingerprint}:{x:.2f},{y:.2f}"))

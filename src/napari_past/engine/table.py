"""The cells of finished tiles, in arrays that grow: a tile more costs the tile, not the slide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid5

import numpy as np
import numpy.typing as npt

from napari_past.engine.cells import ID_NAMESPACE
from napari_past.engine.workers import cores
from napari_past.model import Model
from napari_past.model.prototypes import NearestTypes
from napari_past.model.retrieval import Neighbours
from napari_past.types import FloatArray, Outlines, Rect, TileResult, TileSpec

_GROWTH = 1.5
BLOCK_CELLS = 32_768
"""Embeddings are kept in blocks of so many: growing one array would need its memory twice."""


class GrowingArray:
    """Rows appended in amortised constant time; `values` is a view of those there are."""

    def __init__(self, dtype: npt.DTypeLike, columns: int | None = None) -> None:
        self._shape = () if columns is None else (columns,)
        self._room = np.empty((0, *self._shape), dtype)
        self._n = 0

    def append(self, rows: np.ndarray) -> None:
        wanted = self._n + len(rows)
        if wanted > len(self._room):
            room = np.empty((max(wanted, math.ceil(_GROWTH * self._n)), *self._shape),
                            self._room.dtype)  # fmt: skip
            room[: self._n] = self.values
            self._room = room
        self._room[self._n : wanted] = rows
        self._n = wanted

    @property
    def values(self) -> np.ndarray:
        """(n, ...), valid until the next `append`."""
        return self._room[: self._n]


class CellTable:
    """Cells of one slide with one model, in the order in which their tiles came.

    Not thread-safe: the viewer appends and reads in its GUI thread.

    Parameters
    ----------
    model
        Gives expression and the distance from its training cells.
    fingerprint
        Of the slide; with a cell's place it makes the cell's id.
    """

    def __init__(self, model: Model, fingerprint: str) -> None:
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
        self._blocks: list[npt.NDArray[np.float16]] = []
        self._sum = np.zeros(model.embed_dim)
        self._known = 0
        self._near: GrowingArray | None = None
        self._similarity = GrowingArray(np.float32)

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
                self._blocks.append(np.empty((BLOCK_CELLS, rest.shape[1]), np.float16))
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

    def embedding(self, cell: int) -> npt.NDArray[np.float16]:
        """(d,), the tower's output for one cell."""
        return self._blocks[cell // BLOCK_CELLS][cell % BLOCK_CELLS]

    def expression(self, genes: Sequence[str], start: int = 0) -> FloatArray:
        """Predicted expression, float32 (n − start, g), of exact symbols, in the model's unit.

        Cells are looked up in the model's bank once, by the first gene that it alone has.

        Parameters
        ----------
        start
            First cell of interest; those before it may be known from an earlier call.

        Raises
        ------
        UnknownGene
        """
        n = len(self)
        looked_up = self.model.needs_neighbours(genes)
        if looked_up:
            self._look_up()

        def part(first: int) -> FloatArray:
            block = self._blocks[first // BLOCK_CELLS]
            rows = slice(max(start - first, 0), min(n - first, BLOCK_CELLS))
            known = None
            if looked_up:
                cells = slice(first + rows.start, first + rows.stop)
                known = self._found(cells)
            return self.model.expression(block[rows], genes, known)

        firsts = range(start - start % BLOCK_CELLS, n, BLOCK_CELLS)
        nothing = np.zeros((0, len(genes)), np.float32)
        if len(firsts) <= 1:
            return np.concatenate([nothing, *map(part, firsts)])
        # numpy lets go of the interpreter's lock, so that blocks go on all cores.
        with ThreadPoolExecutor(cores()) as pool:
            return np.concatenate([nothing, *pool.map(part, firsts)])

    def cell_type(self, cell: int) -> NearestTypes | None:
        """The nearest cell type of the model's bank, for one cell; None without such a bank."""
        return self.model.cell_types(self.embedding(cell)[None])

    def nearest_cells(self, cell: int) -> tuple[str, float]:
        """The type with the most weight among one cell's nearest reference cells, and that weight;
        empty where they have none."""
        bank = self.model.bank
        assert bank is not None, "no bank"
        if cell < self._known:
            near = self._found(slice(cell, cell + 1))
        else:
            near = self.model.neighbours(self.embedding(cell)[None])
        votes = bank.votes(near)
        code = int(votes.code[0])
        return (votes.names[code] if code >= 0 else "", float(votes.share[0]))

    def _found(self, cells: slice) -> Neighbours:
        assert self._near is not None, "nothing was looked up"
        return Neighbours(self._near.values[cells], self._similarity.values[cells])

    def _look_up(self) -> None:
        """Find in the model's bank those cells that were not found there yet."""
        n, known = len(self), self._known
        if known == n:
            return
        for first in range(known - known % BLOCK_CELLS, n, BLOCK_CELLS):
            new = slice(max(known - first, 0), min(n - first, BLOCK_CELLS))
            found = self.model.neighbours(self._blocks[first // BLOCK_CELLS][new])
            if self._near is None:
                columns = found.index.shape[1]
                self._near = GrowingArray(np.int32, columns)
                self._similarity = GrowingArray(np.float32, columns)
            self._near.append(found.index)
            self._similarity.append(found.similarity)
        self._known = n

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

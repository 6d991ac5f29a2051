"""Pieces of shards in memory: pixels, nuclei, and the rows that they contribute to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from napari_past.types import Rgb
from past_training.dataset.order import IntArray, Piece
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset

NEIGHBOURS = 8
"""Nearest neighbours of a row that a batch names, as many as PAST's graph has."""
_UNREADABLE = (OSError, ValueError, RuntimeError, IndexError)
_AGAIN = "past-train prepare makes it again where a checksum differs"


@dataclass(frozen=True)
class LoadedPatches:
    """Patches with nuclei, and their rows, in memory; in the order in which they are stored."""

    patches: tuple[Rgb, ...]
    """(p, S, S, 3), in as many arrays as were joined."""
    nuclei_start: IntArray
    """(p + 1,)."""
    nuclei_yx: npt.NDArray[np.float32]
    """(n, 2)."""
    nuclei_row: IntArray
    """(n,) ascending, among these rows."""
    section: IntArray
    """(r,) position of each row's section among the selected ones."""
    row_index: IntArray
    """(r,) number of each row in the dataset."""
    counts: csr_array
    """(r, G) over the genes that were asked for."""
    total: npt.NDArray[np.float32]
    """(r,)."""
    tokens: IntArray | None
    """(r, 300)."""
    neighbours: IntArray | None
    """(r, 8) numbers of rows in the dataset, −1 where there are fewer."""

    def __len__(self) -> int:
        return len(self.nuclei_start) - 1

    def take(self, index: IntArray) -> LoadedPatches:
        """A copy with the chosen patches, ascending, and the rows that have nuclei in them."""
        lengths = np.diff(self.nuclei_start)[index]
        start = np.concatenate([[0], np.cumsum(lengths)])
        nuclei = np.repeat(self.nuclei_start[index] - start[:-1], lengths) + np.arange(start[-1])
        rows, nuclei_row = np.unique(self.nuclei_row[nuclei], return_inverse=True)
        return LoadedPatches(
            patches=(self._gathered(index),),
            nuclei_start=start,
            nuclei_yx=self.nuclei_yx[nuclei],
            nuclei_row=nuclei_row,
            section=self.section[rows],
            row_index=self.row_index[rows],
            counts=self.counts[rows],
            total=self.total[rows],
            tokens=None if self.tokens is None else self.tokens[rows],
            neighbours=None if self.neighbours is None else self.neighbours[rows],
        )

    def _gathered(self, index: IntArray) -> Rgb:
        gathered = np.empty((len(index), *self.patches[0].shape[1:]), np.uint8)
        first = 0
        for array in self.patches:
            a, b = np.searchsorted(index, [first, first + len(array)])
            if a < b:
                gathered[a:b] = array[index[a:b] - first]
            first += len(array)
        return gathered


def joined(parts: Sequence[LoadedPatches]) -> LoadedPatches:
    """The patches of all parts, one after another; pixels are not copied."""
    if len(parts) == 1:
        return parts[0]
    first_nucleus = np.cumsum([0, *(len(part.nuclei_row) for part in parts)])
    first_row = np.cumsum([0, *(len(part.row_index) for part in parts)])
    starts = [p.nuclei_start[:-1] + n for p, n in zip(parts, first_nucleus[:-1], strict=True)]
    rows = [p.nuclei_row + n for p, n in zip(parts, first_row[:-1], strict=True)]
    tokens = [part.tokens for part in parts if part.tokens is not None]
    neighbours = [part.neighbours for part in parts if part.neighbours is not None]
    return LoadedPatches(
        patches=tuple(array for part in parts for array in part.patches),
        nuclei_start=np.concatenate([*starts, first_nucleus[-1:]]),
        nuclei_yx=np.concatenate([part.nuclei_yx for part in parts]),
        nuclei_row=np.concatenate(rows),
        section=np.concatenate([part.section for part in parts]),
        row_index=np.concatenate([part.row_index for part in parts]),
        counts=vstack([part.counts for part in parts], format="csr"),
        total=np.concatenate([part.total for part in parts]),
        tokens=np.concatenate(tokens) if len(tokens) == len(parts) else None,
        neighbours=np.concatenate(neighbours) if len(neighbours) == len(parts) else None,
    )


class PieceReader:
    """Reads pieces of one section; safe from any thread.

    Parameters
    ----------
    section
        Position of the section among those selected.
    column_of_gene
        (all genes,) column of the counts for each gene of the dataset, −1 for those not asked for.
    """

    def __init__(self, dataset: PairedDataset, section: int, column_of_gene: IntArray) -> None:
        record = dataset.sections[section]
        self._kept = dataset.rows_kept(record.name)
        self.arrays = dataset.section(record.name)
        self._section = section
        self._first_row = dataset.first_row(record.name)
        self._shard_patches = dataset.info.patches_in_shard
        self._column_of_gene = column_of_gene
        self._columns = int(column_of_gene.max(initial=-1)) + 1

    def filled(self) -> tuple[int, ...]:
        """For each shard: how many of its patches hold a nucleus of a row that is seen.

        Where all rows are seen nothing is read.

        Raises
        ------
        BadDataset
            A file is missing or damaged.
        """
        record, size = self.arrays.record, self._shard_patches
        if self._kept is None:
            return record.filled
        try:
            start = np.asarray(self.arrays.nuclei_start[:])
            seen = self._kept[np.asarray(self.arrays.nuclei_row[:])]
            firsts = np.arange(0, record.patches, size)
            filled = np.add.reduceat(np.diff(start) > 0, firsts, dtype=np.int64)
            kept = np.add.reduceat(_seen_in_each(seen, start) > 0, firsts, dtype=np.int64)
        except _UNREADABLE as exc:
            raise BadDataset(
                f"The nuclei of section {record.name} cannot be read ({exc}); {_AGAIN}."
            ) from exc
        if filled.tolist() != list(record.filled):
            raise BadDataset(
                f"Section {record.name} lacks nuclei, so a file is missing; past-train prepare "
                f"makes it again."
            )
        return tuple(kept.tolist())

    def measured(self) -> npt.NDArray[np.bool_]:
        """(G,) whether the section measured each of the genes that were asked for."""
        columns = self._column_of_gene[np.asarray(self.arrays.gene_index[:])]
        measured = np.zeros(self._columns, bool)
        measured[columns[columns >= 0]] = True
        return measured

    def __call__(self, piece: Piece) -> LoadedPatches:
        """The patches, nuclei and rows of a piece.

        Raises
        ------
        BadDataset
            A file is missing or damaged.
        """
        record = self.arrays.record
        try:
            loaded = self._loaded(piece)
        except _UNREADABLE as exc:
            raise BadDataset(
                f"Section {record.name} cannot be read at shard {piece.shard} ({exc}); {_AGAIN}."
            ) from exc
        if loaded is None:
            raise BadDataset(
                f"Section {record.name} lacks values at shard {piece.shard}, so a file is missing; "
                f"past-train prepare makes it again."
            )
        return loaded

    def _loaded(self, piece: Piece) -> LoadedPatches | None:
        arrays, record = self.arrays, self.arrays.record
        begin = piece.shard * self._shard_patches
        end = min(begin + self._shard_patches, record.patches)
        start = np.asarray(arrays.nuclei_start[begin : end + 1])
        owned = np.diff(start)
        # zarr takes a file that is not there for zeros.
        if np.count_nonzero(owned) != record.filled[piece.shard]:
            return None
        seen: npt.NDArray[np.bool_] | None = None
        if self._kept is not None:
            seen = self._kept[np.asarray(arrays.nuclei_row[int(start[0]) : int(start[-1])])]
            owned = _seen_in_each(seen, start)
        chosen = np.flatnonzero(owned)[piece.first : piece.stop]
        a, b = int(chosen[0]), int(chosen[-1]) + 1
        patches = np.asarray(arrays.patches[begin + a : begin + b])
        if not patches[:, 0].any():
            return None
        if len(chosen) < b - a:
            patches = patches[chosen - a]
        nuclei = slice(int(start[a]), int(start[b]))
        row = np.asarray(arrays.nuclei_row[nuclei])
        yx = np.asarray(arrays.nuclei_yx[nuclei])
        if seen is not None:
            mine = seen[nuclei.start - start[0] : nuclei.stop - start[0]]
            row, yx = row[mine], yx[mine]
        # Patches without nuclei own none of these, so what is left of them stays side by side.
        lengths = owned[chosen]
        row0, row1 = int(row[0]), int(row[-1]) + 1
        return LoadedPatches(
            patches=(patches,),
            nuclei_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            nuclei_yx=yx,
            nuclei_row=row - row0,
            section=np.full(row1 - row0, self._section, np.int64),
            row_index=np.arange(row0, row1, dtype=np.int64) + self._first_row,
            counts=self._counts(row0, row1),
            total=np.asarray(arrays.counts_total[row0:row1]),
            tokens=None if arrays.tokens is None else np.asarray(arrays.tokens[row0:row1]),
            neighbours=self._neighbours(row0, row1),
        )

    def _counts(self, row0: int, row1: int) -> csr_array:
        counts = self.arrays.counts(row0, row1)
        column = self._column_of_gene[counts.indices]
        kept = column >= 0
        start = np.concatenate([[0], np.cumsum(kept)])[counts.indptr]
        shape = (row1 - row0, self._columns)
        return csr_array((counts.data[kept], column[kept], start), shape=shape)

    def _neighbours(self, row0: int, row1: int) -> IntArray | None:
        lists = self.arrays.neighbours
        if lists is None:
            return None
        start = np.asarray(lists[0][row0 : row1 + 1])
        index = np.asarray(lists[1][int(start[0]) : int(start[-1])])
        start = start - start[0]
        if self._kept is not None:
            seen = self._kept[index]
            index, start = index[seen], np.concatenate([[0], np.cumsum(seen)])[start]
        place = start[:-1, None] + np.arange(NEIGHBOURS)
        there = place < (start[1:] - start[0])[:, None]
        found = np.full(place.shape, -1, np.int64)
        found[there] = self._first_row + index[place[there]]
        return found


def _seen_in_each(seen: npt.NDArray[np.bool_], start: IntArray) -> IntArray:
    """How many nuclei of each patch are seen, (p,); `seen` begins at the first patch's first."""
    up_to = np.concatenate([[0], np.cumsum(seen)])
    return np.asarray(np.diff(up_to[start - start[0]]), np.int64)

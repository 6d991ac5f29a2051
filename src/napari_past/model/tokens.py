"""Cells as PAST's cell tower reads them: the ids of their genes, most distinctive first.

    position   0          1       2         3 …                            299
    holds      modality   assay   species   30 + place of the gene …       1 where there are no more

The published rule: counts of a cell are scaled to a sum of 10,000 and divided by the technology's
mean of each gene's non-zero values, and the genes that are not 0 are ranked by that, highest first.

The sum is the same for all genes of a cell, so it cannot change their order: whatever genes it is
taken over gives the same tokens, and here it is left out. Then the order of two genes depends on
their counts and means alone. It is worked out once for all pairs of a gene and a count, exactly,
and cells are ranked by sorting whole numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from anndata import AnnData
from scipy import sparse

from napari_past.errors import BadTable
from napari_past.model.count_rows import CountTable, open_counts
from napari_past.model.gene_match import GeneMatch, listed, match_genes
from napari_past.model.vocabulary import ASSAYS, Vocabulary, technology_name

POSITIONS, PREFIX, PAD, FIRST_GENE = 300, 3, 1, 30
MODALITIES = {"dissociated": 3, "spatial": 4}
SPECIES = {"human": 5, "mouse": 6}
ROWS_AT_ONCE = 2048

_RANKED_PAIRS = 1 << 22
"""Pairs of a gene and a count that are ranked in advance, at most: about 0.1 GB."""

_log = logging.getLogger("napari_past.tokens")

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a table's cells, and what of the table they could use."""

    ids: Ids
    """(n, 300) int32."""
    genes: GeneMatch
    without_genes: int
    """Cells in which no gene of the vocabulary was counted: nothing but padding after the
    prefix."""

    @property
    def known(self) -> int:
        """Columns of the table that are genes of the vocabulary."""
        return self.genes.known

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of all genes of the table that the vocabulary does not have."""
        return self.genes.unknown


def tokenize(
    table: AnnData | str | Path,
    vocabulary: Vocabulary,
    *,
    technology: str | None = None,
    species: str = "human",
    modality: str = "spatial",
    layer: str | None = None,
    least_known: float = 0.5,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Tokens:
    """The tokens of all cells of a table; `token_blocks` gives them piece by piece.

    Parameters
    ----------
    table
        Cells by genes with raw counts: an `AnnData`, backed or not, an ``.h5ad`` file or a
        ``.zarr`` folder. Files are streamed.
    technology
        Must be the vocabulary's, which is also the default: a key of `ASSAYS`.
    species
        A key of `SPECIES`. Mouse genes must be named as the vocabulary names them.
    modality
        A key of `MODALITIES`.
    layer
        Where the raw counts are; default: ``X``.
    least_known
        Share of the table's genes that the vocabulary must have, 0 to 1.
    rows_at_once
        Cells that are held at once.

    Raises
    ------
    BadTable
        The table cannot be read, too few of its genes are known, its values are no raw counts, or
        an option is none of those named.
    """
    rows, genes, blocks = _prepared(
        table, vocabulary, technology, species, modality, layer, least_known, rows_at_once
    )
    ids = np.empty((rows, POSITIONS), np.int32)
    for start, block in blocks:
        ids[start : start + len(block)] = block
    return Tokens(ids, genes, without_genes(ids))


def token_blocks(
    table: AnnData | str | Path,
    vocabulary: Vocabulary,
    *,
    technology: str | None = None,
    species: str = "human",
    modality: str = "spatial",
    layer: str | None = None,
    least_known: float = 0.5,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Iterator[tuple[int, Ids]]:
    """First row and tokens (r, 300) int32 of each piece of a table; all rows, in order.

    Parameters and errors are those of `tokenize`. What is wrong with names and options is raised at
    once, what is wrong with counts when they are reached. Unknown genes, and cells without any
    known one, are told by log warnings; `table_genes` gives all names.
    """
    _, _, blocks = _prepared(
        table, vocabulary, technology, species, modality, layer, least_known, rows_at_once
    )
    return blocks


def table_genes(
    table: AnnData | str | Path, vocabulary: Vocabulary, species: str = "human"
) -> GeneMatch:
    """What of a table's genes the vocabulary has, as `token_blocks` uses it."""
    with open_counts(table) as counts:
        return match_genes(counts.var, vocabulary, species)


def without_genes(ids: Ids) -> int:
    """Cells of (n, 300) tokens that have no gene."""
    return int((ids[:, PREFIX] == PAD).sum())


def _prepared(
    table: AnnData | str | Path,
    vocabulary: Vocabulary,
    technology: str | None,
    species: str,
    modality: str,
    layer: str | None,
    least_known: float,
    rows_at_once: int,
) -> tuple[int, GeneMatch, Iterator[tuple[int, Ids]]]:
    """Number of cells, their genes, and the blocks of tokens: all that can be refused, is here."""
    if not 0 <= least_known <= 1:
        raise BadTable(f"least_known is a share, but got {least_known}; give a number from 0 to 1.")
    if rows_at_once < 1:
        raise BadTable(f"rows_at_once is {rows_at_once}, but at least 1 is needed; give more.")
    with open_counts(table, layer) as counts:
        genes = match_genes(counts.var, vocabulary, species)
        _require_known(counts, genes, vocabulary, least_known)
        rows = counts.rows
    prefix = _prefix(vocabulary, technology, species, modality)
    return rows, genes, _blocks(table, layer, vocabulary, genes, prefix, rows_at_once)


def _blocks(
    table: AnnData | str | Path,
    layer: str | None,
    vocabulary: Vocabulary,
    genes: GeneMatch,
    prefix: tuple[int, int, int],
    rows_at_once: int,
) -> Iterator[tuple[int, Ids]]:
    for note in genes.notes():
        _log.warning("%s", note)
    ranking = _Ranking(genes.place, vocabulary.divisors)
    empty = total = 0
    with open_counts(table, layer) as counts:
        for start, block in counts.blocks(rows_at_once):
            ids = np.full((block.shape[0], POSITIONS), PAD, np.int32)
            ids[:, :PREFIX] = prefix
            ranking.write(block, ids[:, PREFIX:])
            empty += without_genes(ids)
            total += len(ids)
            yield start, ids
    if empty:
        _log.warning("%d of %d cells have no gene of the vocabulary.", empty, total)


class _Ranking:
    """Ranks the genes of cells by count / divisor, highest first; equal ones by their place.

    Shapes: E entries of a block that are not 0 and known, K known genes, P pairs of gene and count.
    """

    def __init__(self, place: npt.NDArray[np.int32], divisors: npt.NDArray[np.float64]) -> None:
        self._places_K = np.unique(place[place >= 0])
        """In the vocabulary, ascending: equal values are ordered by it."""
        self._known = np.where(place >= 0, np.searchsorted(self._places_K, place), -1)
        """(g,) of each column the number among the known genes, or −1."""
        self._merges = len(self._places_K) < int((place >= 0).sum())
        self._divisors_K = divisors[self._places_K]
        self._limit_K = np.zeros(len(self._places_K), np.int64)
        self._first_K = np.zeros(len(self._places_K), np.int64)
        self._rank_P = np.zeros(0, np.int64)
        self._gene_P = np.zeros(0, np.int64)

    def write(self, block: sparse.csr_array, out: Ids) -> None:
        """Put tokens of each cell's first genes into `out` (rows, 297); the rest stays as it is."""
        start, gene_E, count_E = self._entries(block)
        length = np.diff(start)
        row_E = np.repeat(np.arange(len(length)), length)
        if self._covers(gene_E, count_E):
            pairs = len(self._rank_P)
            key_E = self._rank_P[self._first_K[gene_E] + count_E.astype(np.int64) - 1]
            key_E += row_E * pairs
            key_E.sort()
            key_E -= row_E * pairs
            gene_E = self._gene_P[key_E]
        else:
            gene_E = gene_E[np.lexsort((gene_E, -count_E / self._divisors_K[gene_E], row_E))]
        position_E = np.arange(len(gene_E)) - np.repeat(start[:-1], length)
        shown_E = position_E < out.shape[1]
        out[row_E[shown_E], position_E[shown_E]] = FIRST_GENE + self._places_K[gene_E[shown_E]]

    def _entries(
        self, block: sparse.csr_array
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Where each row starts (rows + 1,); of what is counted there, genes (E,), counts (E,)."""
        gene = self._known[block.indices]
        kept = (gene >= 0) & (block.data > 0)
        start = np.concatenate([[0], np.cumsum(kept)])[block.indptr]
        gene_E, count_E = gene[kept], block.data[kept].astype(np.float64)
        if self._merges or not block.has_canonical_format:
            shape = (block.shape[0], len(self._places_K))
            summed = sparse.csr_array((count_E, gene_E, start), shape=shape)
            summed.sum_duplicates()
            return summed.indptr.astype(np.int64), summed.indices.astype(np.int64), summed.data
        return start, gene_E, count_E

    def _covers(self, gene_E: npt.NDArray[np.int64], count_E: npt.NDArray[np.float64]) -> bool:
        """Whether all these pairs are ranked, or now are; not, where there would be too many."""
        higher_E = count_E > self._limit_K[gene_E]
        if not higher_E.any():
            return True
        limit_K = self._limit_K.astype(np.float64)
        np.maximum.at(limit_K, gene_E[higher_E], count_E[higher_E])
        if limit_K.sum() > _RANKED_PAIRS:
            return False
        # Room for what comes, so that blocks do not each rank anew.
        roomy_K = np.where(limit_K > self._limit_K, 2 * limit_K, limit_K)
        self._limit_K = (roomy_K if roomy_K.sum() <= _RANKED_PAIRS else limit_K).astype(np.int64)
        self._first_K = np.cumsum(self._limit_K) - self._limit_K
        gene_P = np.repeat(np.arange(len(self._limit_K)), self._limit_K)
        count_P = 1 + np.arange(len(gene_P)) - self._first_K[gene_P]
        order_P = np.argsort(-count_P / self._divisors_K[gene_P], kind="stable")
        self._rank_P = np.empty(len(order_P), np.int64)
        self._rank_P[order_P] = np.arange(len(order_P))
        self._gene_P = gene_P[order_P]
        return True


def _prefix(
    vocabulary: Vocabulary, technology: str | None, species: str, modality: str
) -> tuple[int, int, int]:
    name = vocabulary.technology if technology is None else technology_name(technology)
    if name != vocabulary.technology:
        raise BadTable(
            f"Tokens for {name} were asked for, but the vocabulary's means are of "
            f"{vocabulary.technology}; read the vocabulary with the means of {name}."
        )
    if modality not in MODALITIES:
        raise BadTable(
            f"There are no tokens for the modality {modality!r}; give one of "
            f"{', '.join(MODALITIES)}."
        )
    return MODALITIES[modality], ASSAYS[name], SPECIES[species]


def _require_known(
    counts: CountTable, genes: GeneMatch, vocabulary: Vocabulary, least_known: float
) -> None:
    if genes.known and genes.share >= least_known:
        return
    raise BadTable(
        f"Of {genes.known + len(genes.unknown)} genes of {counts.name} only {genes.known} "
        f"({genes.share:.0%}) are in the vocabulary of {len(vocabulary.ensembl)} genes, but at "
        f"least {least_known:.0%} must be (unknown: {listed(genes.unknown)}); name the genes by "
        "Ensembl id or HGNC symbol, mouse genes by Ensembl id with species mouse, or lower "
        "least_known."
    )

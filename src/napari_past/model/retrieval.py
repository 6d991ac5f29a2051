"""Retrieval: the reference cells nearest to a cell's vector, and what they say about it.

The search is exact. For each block of queries and each block of references

1. one matrix product in float32 gives all similarities, off by at most `_slack`;
2. those that could still be among a query's k best are kept, generously by that slack;
3. the few that are left are computed again in float64, which does not depend on the blocks;
4. the k best of old and new stay, as integers that sort by similarity, then by lower index.

So ties and the last digits are the same however the work is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model.bank import Bank
from napari_past.types import FloatArray, IntArray

NEIGHBOURS = 50
TEMPERATURE = 0.07
"""Where PAST's own, which is learned and kept within 0.01–1, starts."""
MEMORY_MB = 64.0

_PER_SCORE = 16
"""Bytes: a similarity, its copy while the k best are found, and who is kept."""
_ROWS_AT_ONCE = 8192
_PAIRS_AT_ONCE = 16_384
_PAIRS_IN_CACHE = 256
"""Of 256 numbers in float64 they take a megabyte: a core's second-level cache."""
_NO_INDEX = 0xFFFFFFFF

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest reference cells of each query, nearest first."""

    index: npt.NDArray[np.int32]
    """(q, k) rows of the bank; of equally near ones the lower comes first."""
    similarity: npt.NDArray[np.float32]
    """(q, k) cosine, -1 … 1, to what float16 leaves of it."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def distance(self) -> npt.NDArray[np.float32]:
        """Cosine distance, 0 … 2, (q, k)."""
        return 1 - self.similarity


def nearest(
    bank: Bank,
    queries: FloatArray,
    k: int = NEIGHBOURS,
    leave_out: npt.NDArray[np.bool_] | None = None,
    *,
    memory_mb: float = MEMORY_MB,
    on_share: Callable[[float], None] | None = None,
) -> Neighbours:
    """The k nearest reference cells of each query, exactly.

    Parameters
    ----------
    bank
        Made by the model that encoded the queries (`Bank.require_model`).
    queries
        (q, d), of any length but zero.
    leave_out
        (n,): reference cells that must not be found, as `Bank.left_out` gives them.
    memory_mb
        About what the work takes beside bank, queries, result and eight bytes for each neighbour;
        the result does not depend on it.
    on_share
        Called between blocks with the share that is done, 0–1; what it raises ends the search.

    Raises
    ------
    PastError
        Vectors of another size or not finite, or fewer than `k` reference cells are left.
    """
    queries = np.asarray(queries)
    lengths = _lengths(bank, queries)
    rows = np.arange(len(bank)) if leave_out is None else np.flatnonzero(~leave_out)
    if not 1 <= k <= len(rows):
        raise PastError(
            f"{k} neighbours were asked for, but the bank {bank.name} has {len(rows)} cells that "
            f"may be used ({len(bank) - len(rows)} of the same patient or study are left out); "
            f"choose from 1 to {len(rows)}, or a bank with more patients."
        )
    queries_at_once, references_at_once = _block_sizes(queries.shape, len(rows), memory_mb)
    room = _Room(queries_at_once * references_at_once)
    best = np.full((len(queries), k), _NOTHING)
    for start in range(0, len(rows), references_at_once):
        index = rows[start : start + references_at_once]
        references = bank.vectors[index].astype(np.float32)
        for first in range(0, len(queries), queries_at_once):
            block = slice(first, first + queries_at_once)
            wide = queries[block].astype(np.float32, copy=False)
            _improve(best[block], wide, lengths[block], references, index, room)
            if on_share is not None:
                done = start + len(index) * min((first + queries_at_once) / len(queries), 1.0)
                on_share(done / len(rows))
    return _sorted(best)


def _lengths(bank: Bank, queries: FloatArray) -> npt.NDArray[np.float64]:
    """Length of each query, (q,)."""
    size = bank.vectors.shape[1]
    if queries.ndim != 2 or queries.shape[1] != size:
        raise PastError(
            f"The bank {bank.name} holds vectors of {size} numbers, but got {queries.shape}; "
            f"encode the cells with the model {bank.made_by.name}, which made it."
        )
    result = np.empty(len(queries))
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        wide = queries[block].astype(np.float32, copy=False).astype(np.float64)
        result[block] = np.sqrt(np.vecdot(wide, wide))
    if not np.isfinite(result).all() or (result == 0).any():
        raise PastError("Some vectors to look up are zero or not finite; encode these cells again.")
    return result


def _block_sizes(shape: tuple[int, int], references: int, memory_mb: float) -> tuple[int, int]:
    """How many queries and references at once: square blocks of products that fit, with both."""
    q, d = shape
    per_vector = 12 * d  # of both kinds: half, widened, brought to length 1
    half = per_vector / (2 * _PER_SCORE)
    side = max(1, int(np.sqrt(half**2 + memory_mb * 1e6 * 0.75 / _PER_SCORE) - half))
    return min(side, max(q, 1)), min(side, references)


class _Room:
    """Memory for a block's similarities, taken once: fresh pages cost as much as the product."""

    def __init__(self, size: int) -> None:
        self._scores = np.empty(size, np.float32)
        self._kept = np.empty(size, np.bool_)

    def of(self, shape: tuple[int, int]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        size = shape[0] * shape[1]
        return self._scores[:size].reshape(shape), self._kept[:size].reshape(shape)


def _improve(
    best: Keys,
    queries: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.float64],
    references: npt.NDArray[np.float32],
    index: IntArray,
    room: _Room,
) -> None:
    """Put references that are nearer than what `best` holds into it, in place."""
    k = best.shape[1]
    scores, kept = room.of((len(queries), len(references)))
    np.matmul(queries, references.T, out=scores)
    # Products are not yet divided by the query's length: it is the bound that is multiplied.
    slack = (_slack(queries.shape[1]) * lengths).astype(np.float32)
    floor = (_similarity(best.min(axis=1)) * lengths).astype(np.float32) - slack
    np.greater_equal(scores, floor[:, None], out=kept)
    # At first everything is nearer than nothing, and later a run of like cells may be.
    if np.count_nonzero(kept) > k * len(scores) and len(references) > k:
        kth = np.partition(scores, -k, axis=1)[:, -k]
        np.greater_equal(scores, np.maximum(floor, kth - 2 * slack)[:, None], out=kept)
    flat = np.flatnonzero(kept)
    for start in range(0, len(flat), _PAIRS_AT_ONCE):
        query, reference = np.divmod(flat[start : start + _PAIRS_AT_ONCE], len(references))
        exact = _exact(queries, references, query, reference) / lengths[query]
        _merge(best, query, _keys(exact.astype(np.float32), index[reference]))


def _slack(d: int) -> float:
    """A bound on what float32 leaves out of a sum of d products of unit vectors, in any order.

    Beside d roundings of the sum there are those of the bound itself, and vectors of float16 are of
    length 1 to a hundredth.
    """
    return (d + 8) * 2.0**-24 * (1 + 2**-5)


def _exact(
    queries: npt.NDArray[np.float32],
    references: npt.NDArray[np.float32],
    query: IntArray,
    reference: IntArray,
) -> npt.NDArray[np.float64]:
    """Products of pairs, (p,)."""
    result = np.empty(len(query))
    for start in range(0, len(query), _PAIRS_IN_CACHE):
        pair = slice(start, start + _PAIRS_IN_CACHE)
        result[pair] = np.vecdot(
            queries[query[pair]].astype(np.float64), references[reference[pair]].astype(np.float64)
        )
    return result


def _merge(best: Keys, query: IntArray, keys: Keys) -> None:
    """Keep the k greatest keys of each query, in place; several may be of one query."""
    k = best.shape[1]
    order = np.lexsort((-keys, query))
    query, keys = query[order], keys[order]
    first = np.flatnonzero(np.diff(query, prepend=-1))
    counts = np.diff(first, append=len(query))
    rank = np.arange(len(query)) - np.repeat(first, counts)
    row = np.repeat(np.arange(len(first)), counts)
    changed = query[first]
    more = min(int(counts.max()), k)
    both = np.full((len(first), more + k), _NOTHING)
    both[:, more:] = best[changed]
    within = rank < more
    both[row[within], rank[within]] = keys[within]
    both.partition(more, axis=1)
    best[changed] = both[:, more:]


def _keys(similarity: npt.NDArray[np.float32], index: IntArray) -> Keys:
    """Integers that sort as the similarity does and, where that is equal, against the index.

    Bits of positive floats sort as integers do; those of negative ones sort the other way round
    and are turned. The upper half is the similarity, the lower one the index.
    """
    bits = (similarity + np.float32(0)).view(np.int32)  # no two zeros
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return np.asarray((ordered.astype(np.int64) << 32) | (_NO_INDEX - index.astype(np.int64)))


def _similarity(keys: Keys) -> npt.NDArray[np.float32]:
    """The similarity in `_keys`."""
    ordered = np.ascontiguousarray((keys >> 32).astype(np.int32))
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32)


def _sorted(best: Keys) -> Neighbours:
    index, similarity = np.empty(best.shape, np.int32), np.empty(best.shape, np.float32)
    for start in range(0, len(best), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        keys = np.sort(best[block], axis=1)[:, ::-1]
        index[block] = _NO_INDEX - (keys & _NO_INDEX)
        similarity[block] = _similarity(keys)
    return Neighbours(index, similarity)


_NOTHING = _keys(np.array([-np.inf], np.float32), np.array([_NO_INDEX]))[0]


def weights(neighbours: Neighbours, temperature: float = TEMPERATURE) -> npt.NDArray[np.float32]:
    """How much each neighbour counts: softmax of similarity / temperature, (q, k), rows sum to 1.

    Raises
    ------
    PastError
        The temperature is not above 0.
    """
    if not temperature > 0:
        raise PastError(f"The temperature is a number above 0, but got {temperature}.")
    nearer = neighbours.similarity - neighbours.similarity.max(axis=1, keepdims=True)
    raw = np.exp(nearer / np.float32(temperature))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def effective_neighbours(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How many equal neighbours would blur as much, (q,): 1 / Σ weight², from 1 to k."""
    return np.asarray(1 / (weight**2).sum(axis=1))


def expression(
    bank: Bank,
    neighbours: Neighbours,
    genes: Sequence[str],
    temperature: float = TEMPERATURE,
) -> npt.NDArray[np.float32]:
    """Weighted mean of the neighbours' log1p(counts per 10k), float32 (q, len(genes)).

    Raises
    ------
    UnknownGene
        The bank did not measure one of `genes`.
    """
    weight = weights(neighbours, temperature)
    result = np.empty((len(neighbours), len(genes)), np.float32)
    for g, gene in enumerate(genes):
        # One at a time: as dense columns of a large bank many genes would not fit.
        column = bank.values([gene]).toarray()[:, 0]
        for start in range(0, len(neighbours), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            result[block, g] = (weight[block] * column[neighbours.index[block]]).sum(axis=1)
    return result


@dataclass(frozen=True, eq=False)
class TypeVotes:
    """The cell type that a query's neighbours have."""

    names: tuple[str, ...]
    code: npt.NDArray[np.int32]
    """(q,) places among `names`; -1 where no neighbour has a type."""
    share: npt.NDArray[np.float32]
    """(q,) weight of the neighbours of that type, 0–1."""


def type_votes(bank: Bank, neighbours: Neighbours, temperature: float = TEMPERATURE) -> TypeVotes:
    """The type with the most weight among the neighbours; of equal ones the first in the alphabet.

    Raises
    ------
    PastError
        The bank has no types.
    """
    names = bank.types.names
    if not names:
        raise PastError(
            f"The bank {bank.name} has no cell types; build it with --type-key and the column that "
            f"holds them."
        )
    weight = weights(neighbours, temperature)
    total = np.zeros((len(neighbours), len(names) + 1), np.float32)
    # A neighbour without a type has the code -1: the last column.
    found = bank.types.codes[neighbours.index]
    np.add.at(total, (np.arange(len(neighbours))[:, None], found), weight)
    votes = total[:, :-1]
    share = votes.max(axis=1)
    code = np.where(share > 0, votes.argmax(axis=1), -1).astype(np.int32)
    return TypeVotes(names, code, share)

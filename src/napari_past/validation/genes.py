"""Which genes are looked at: chosen on training rows, never on those that are held out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from napari_past.errors import PastError

MATCHED_POOL = 50
"""So many genes of the nearest mean expression are drawn from."""


def log1p_cp10k(counts: csr_array, total: npt.NDArray[np.floating]) -> csr_array:
    """log1p of counts per 10,000 of the row, sparse float32 of the shape of `counts`.

    Parameters
    ----------
    counts
        (r, G) raw counts.
    total
        (r,) library sizes over all genes of the source, positive.
    """
    rows = np.repeat(np.asarray(total, np.float64), np.diff(counts.indptr))
    data = np.log1p(counts.data.astype(np.float64) / rows * 1e4).astype(np.float32)
    return csr_array((data, counts.indices, counts.indptr), shape=counts.shape)


def mean_and_deviation(
    values: Sequence[csr_array],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each gene over the rows of all sections, (G,) each."""
    rows = sum(v.shape[0] for v in values)
    if not rows:
        raise PastError("There is no training row to choose genes on; give sections with rows.")
    width = values[0].shape[1]
    total, squares = np.zeros(width), np.zeros(width)
    for v in values:
        data = v.data.astype(np.float64)
        total += np.bincount(v.indices, data, minlength=width)
        squares += np.bincount(v.indices, data**2, minlength=width)
    mean = total / rows
    return mean, np.sqrt(np.maximum(squares / rows - mean**2, 0.0))


def best_expressed(values: Sequence[csr_array], genes: Sequence[str], n: int) -> list[str]:
    """The n genes of the highest mean log1p(counts per 10k) over all rows, best first.

    Genes that one section lacks count as zero there; of equals the first in the alphabet goes
    first.

    Parameters
    ----------
    values
        For each training section sparse (r, G), as `log1p_cp10k` gives it.
    genes
        (G,) symbols.
    """
    mean, _ = mean_and_deviation(values)
    order = np.lexsort((np.asarray(genes), -mean))[:n]
    return [genes[i] for i in order]


def most_variable(
    values: Sequence[csr_array], genes: Sequence[str], among: Sequence[str], n: int
) -> list[str]:
    """The n genes among `among` whose log1p(counts per 10k) varies most over all rows.

    Parameters
    ----------
    values, genes
        As of `best_expressed`.
    """
    _, deviation = mean_and_deviation(values)
    place = {gene: i for i, gene in enumerate(genes)}
    chosen = deviation[[place[g] for g in among]]
    return [among[i] for i in np.argsort(-chosen, kind="stable")[:n]]


def expression_matched(
    expression: Mapping[str, float],
    genes: Sequence[str],
    n_sets: int,
    seed: int,
    without: Collection[str] = (),
) -> list[tuple[str, ...]]:
    """Random gene sets, each gene of which is expressed as much as its counterpart in `genes`.

    A gene is replaced by one of the 50 whose mean expression is nearest to its own; no gene occurs
    twice in a set (control sets after Tirosh et al. 2016, Science 352:189).

    Parameters
    ----------
    expression
        Gene → mean expression, of all genes to draw from and of `genes`.
    without
        Genes never to draw, beside `genes` themselves.

    Raises
    ------
    PastError
        There are fewer genes to draw from than a set needs.
    """
    taken = {*genes, *without}
    others = sorted(g for g in expression if g not in taken)
    if len(others) < 2 * len(genes):
        raise PastError(
            f"Only {len(others)} genes are left to draw random sets of {len(genes)} from; random "
            f"sets need a model with more genes."
        )
    level = np.array([expression[g] for g in others])
    rng = np.random.default_rng(seed)
    pools = [np.argsort(np.abs(level - expression[g]), kind="stable")[:MATCHED_POOL] for g in genes]
    sets = []
    for _ in range(n_sets):
        drawn: list[int] = []
        for pool in pools:
            free = pool[~np.isin(pool, drawn)]
            if not len(free):
                free = np.setdiff1d(np.arange(len(others)), drawn)
            drawn.append(int(rng.choice(free)))
        sets.append(tuple(others[i] for i in drawn))
    return sets

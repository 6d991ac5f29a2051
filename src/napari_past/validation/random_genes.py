"""Whether a gene is predicted better by its own prediction than by those of genes as abundant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.validation.compared_rows import LEAST_ROWS, Array, ComparedRows, Values
from napari_past.validation.genes import MATCHED_POOL
from napari_past.validation.metrics import cross_pearson

LEAST_OTHERS = 10
"""Genes to compare with; with fewer there is no figure."""


def random_genes(
    rows: ComparedRows,
    predicted: Values,
    measured: Values,
    expression: Sequence[float] | Array,
    first: int,
) -> tuple[Array, Array]:
    """r of other genes' predictions with each measured gene: their mean, and how many are beaten.

    The others are the 50 of the nearest mean expression. A model that only tells dense from sparse
    tissue predicts a gene as well by any gene as abundant as by its own (control genes after
    Tirosh et al. 2016, Science 352:189).

    Parameters
    ----------
    predicted
        (k, W) of each section, of genes in the order of their mean expression.
    measured
        (k, C) of those of them that begin at `first`.
    expression
        (W,) mean measured expression, ascending.

    Returns
    -------
    mean, percentile
        (C,) each: mean r, and the percent of the others that the own prediction beats, ties
        counting half. NaN where fewer than ten others have an r.
    """
    r = rows.mean(np.stack([_crossed(p, m) for p, m in zip(predicted, measured, strict=True)]))
    level = np.asarray(expression, np.float64)
    mean, percentile = np.full((2, r.shape[0]), np.nan)
    for gene in range(r.shape[0]):
        place = first + gene
        others = _nearest(level, place)
        of_others, own = r[gene, others], r[gene, place]
        of_others = of_others[~np.isnan(of_others)]
        if len(of_others) >= LEAST_OTHERS and not np.isnan(own):
            mean[gene] = of_others.mean()
            beaten = np.mean(of_others < own) + np.mean(of_others == own) / 2
            percentile[gene] = 100 * beaten
    return mean, percentile


def _crossed(
    predicted: npt.NDArray[np.float32], measured: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """r (C, W) within one section; NaN of fewer than 20 rows."""
    if len(predicted) < LEAST_ROWS:
        return np.full((measured.shape[1], predicted.shape[1]), np.nan)
    return cross_pearson(predicted, measured).astype(np.float64)


def _nearest(level: Array, place: int) -> npt.NDArray[np.int64]:
    """Places of the 50 others whose level is nearest, of levels in ascending order."""
    start = max(0, place - MATCHED_POOL)
    near = np.arange(start, min(len(level), place + MATCHED_POOL + 1))
    near = near[near != place]
    return near[np.argsort(np.abs(level[near] - level[place]), kind="stable")[:MATCHED_POOL]]

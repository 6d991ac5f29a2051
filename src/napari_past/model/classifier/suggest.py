"""Which cells are worth labelling next."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.model.classifier.classifier import ClassifiedCells
from napari_past.types import FloatArray

POOL = 500
"""So many of the least certain cells are looked at, or `POOL_EACH` for each one that is wanted."""
POOL_EACH = 50
FAR = 0.9
"""Beyond this quantile of the pool's distances all are equally far: an odd cell, as one that is
folded or out of focus, is not suggested for being odd."""

MOST_KNOWN = 200


def suggest(
    vectors: FloatArray,
    classified: ClassifiedCells,
    labelled: npt.NDArray[np.integer],
    count: int = 1,
) -> npt.NDArray[np.intp]:
    """Cells to label next, best first: uncertain ones, unlike the labelled ones and each other.

    Of the least certain cells, each next one has the largest product of uncertainty (1 - margin)
    and distance, in standardised vectors, to the nearest cell that is labelled or suggested. The
    same cells give the same answer.

    Parameters
    ----------
    vectors
        (n, d) of all cells.
    classified
        Of the same cells.
    labelled
        Indices of cells that have a label; they are never suggested.
    count
        How many are wanted.

    Returns
    -------
    Indices, at most `count`: fewer where no others are left.
    """
    free = np.ones(len(vectors), bool)
    free[labelled] = False
    candidates = np.flatnonzero(free)
    size = min(max(POOL, POOL_EACH * count), len(candidates))
    if size == 0 or count < 1:
        return np.zeros(0, np.intp)
    margin = classified.margin[candidates]
    if size < len(candidates):
        candidates = candidates[np.argpartition(margin, size - 1)[:size]]
    # Ascending, so that ties do not depend on how the least certain were found.
    pool = np.sort(candidates)
    wide = np.asarray(vectors[pool], np.float32)
    scale = np.maximum(wide.std(axis=0), 1e-6)
    away = np.full(len(pool), np.inf, np.float32)
    known = np.unique(labelled)
    # Of the cells of painted regions an even sample will do.
    for row in known[:: max(1, len(known) // MOST_KNOWN)]:
        other = np.asarray(vectors[row], np.float32)
        np.minimum(away, _distance(wide, other, scale), out=away)
    if not len(known):
        away[:] = 1.0
    uncertain = 1.0 - classified.margin[pool]
    chosen: list[int] = []
    for _ in range(min(count, len(pool))):
        score = uncertain * np.minimum(away, np.quantile(away, FAR))
        score[chosen] = -1.0
        best = int(score.argmax())
        chosen.append(best)
        np.minimum(away, _distance(wide, wide[best], scale), out=away)
    return pool[chosen]


def _distance(
    rows: npt.NDArray[np.float32], other: npt.NDArray[np.float32], scale: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    return np.asarray(np.linalg.norm((rows - other) / scale, axis=1))

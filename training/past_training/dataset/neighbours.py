"""Which rows lie near which, as ragged lists."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from past_training.dataset.placement import FloatArray, IntArray

Ragged = tuple[IntArray, IntArray]
"""(start (r + 1,), index (k,)): row i has the neighbours ``index[start[i]:start[i + 1]]``."""
_AT_ONCE = 20_000


def near_rows(places_um: FloatArray, radius_um: float) -> Ragged:
    """Rows within `radius_um` of each of `places_um` (r, 2), nearest first, itself left out."""
    tree = cKDTree(places_um)
    counts, found = [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    for first in range(0, len(places_um), _AT_ONCE):
        some = cKDTree(places_um[first : first + _AT_ONCE])
        pairs = some.sparse_distance_matrix(tree, radius_um, output_type="ndarray")
        pairs = pairs[pairs["i"] + first != pairs["j"]]
        pairs = pairs[np.lexsort((pairs["j"], pairs["v"], pairs["i"]))]
        counts.append(np.bincount(pairs["i"], minlength=some.n))
        found.append(pairs["j"].astype(np.int64))
    return np.cumsum(np.concatenate(counts)), np.concatenate(found)


def reordered(lists: Ragged, order: IntArray) -> Ragged:
    """The same lists after row ``order[i]`` has become row i, each in its old order."""
    start, index = lists
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    lengths = np.diff(start)[order]
    new_start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    source = np.repeat(start[:-1][order] - new_start[:-1], lengths) + np.arange(new_start[-1])
    return new_start, place[index[source]]

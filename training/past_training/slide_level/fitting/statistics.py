"""Numbers of the training bags alone: how their instances are spread, and where they crowd."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans

from past_training.slide_level.fitting.feeds import Halves

CLUSTERED = 256
"""Instances of each patient that clusters are found on: patients weigh the same."""

_Moments = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def spread(bags: Iterable[Iterable[Halves]]) -> _Moments:
    """Mean and standard deviation of the instances, float32 (D,) each.

    Every bag weighs the same, however many instances it has.

    Parameters
    ----------
    bags
        Pieces (m, D) of each.
    """
    moments = np.array([_moments(pieces) for pieces in bags])
    mean, square = moments.mean(0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    return mean.astype(np.float32), deviation.astype(np.float32)


def _moments(pieces: Iterable[Halves]) -> npt.NDArray[np.float64]:
    """(2, D), means of the numbers and of their squares."""
    n = 0
    sums: npt.NDArray[np.float64] | float = 0.0
    for piece in pieces:
        wide = piece.astype(np.float32)
        sums = sums + np.stack(
            [wide.sum(0, dtype=np.float64), np.einsum("md,md->d", wide, wide, dtype=np.float64)]
        )
        n += len(piece)
    return np.asarray(sums) / n


def centroids(
    held: Sequence[Halves], moments: _Moments, count: int, seed: int
) -> npt.NDArray[np.float32]:
    """Centres of k-means over standardised instances, float32 (K, D), K at most `count`.

    Sculley 2010 ("Web-scale k-means clustering", WWW), from as many instances of each patient.

    Parameters
    ----------
    held
        (n, D) of each patient, in random order or all.
    """
    rng = np.random.default_rng(seed)
    some = [v[rng.choice(len(v), min(len(v), CLUSTERED), replace=False)] for v in held]
    mean, deviation = moments
    points = (np.concatenate(some) - mean) / np.where(deviation < 1e-6, 1.0, deviation)
    kmeans = MiniBatchKMeans(min(count, len(points)), random_state=seed, n_init=1, max_iter=30)
    return kmeans.fit(points).cluster_centers_.astype(np.float32)

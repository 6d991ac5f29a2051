"""Finding a cell's measured profile among others by what was predicted for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import FloatArray

RECALLED = (1, 10, 50)
"""The k of recall@k."""
LARGEST_GALLERY = 2000
"""Of larger sections so many rows are drawn: recall means nothing without the gallery's size."""


@dataclass(frozen=True)
class Retrieval:
    """Recall@k with what it must be read with."""

    gallery: int
    """Among how many profiles each was looked for."""
    recall: dict[int, float]
    """k → share of queries whose own profile is among the k most similar."""

    def chance(self, k: int) -> float:
        """Recall@k of a guess."""
        return min(k / self.gallery, 1.0)


def recall_at(similarity: FloatArray, k: int) -> float:
    """Share of the queries whose match is among the k most similar, 0–1.

    Among equals the order is a matter of chance, and the expected share is counted, so that a
    prediction that is the same everywhere reaches exactly k divided by the gallery's size.

    Parameters
    ----------
    similarity
        (n, n) from each query (row) to each of the gallery (column); the match of query i is i.

    Raises
    ------
    ValueError
        It is not square, or k is not positive.
    """
    n = len(similarity)
    if similarity.shape != (n, n) or n == 0 or k < 1:
        raise ValueError(f"similarity must be square and k positive, but got {similarity.shape}.")
    own = np.diagonal(similarity)[:, None]
    above = (similarity > own).sum(axis=1)
    equals = (similarity == own).sum(axis=1)
    return float(np.clip((k - above) / np.maximum(equals, 1), 0, 1).mean())


def retrieval(predicted: FloatArray, measured: FloatArray, seed: int = 0) -> Retrieval:
    """Recall of each row's measured profile by its predicted one.

    Similarity is the Pearson correlation over the genes, after what all rows of the section have in
    common was taken away on either side; the pictures alone decide.

    Parameters
    ----------
    predicted, measured
        (r, G), of the same rows and genes.
    """
    rows = np.arange(len(predicted))
    if len(rows) > LARGEST_GALLERY:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(rows), LARGEST_GALLERY, replace=False))
    similarity = _profiles(predicted[rows]) @ _profiles(measured[rows]).T
    ks = [k for k in RECALLED if k < len(rows)]
    return Retrieval(len(rows), {k: recall_at(similarity, k) for k in ks})


def _profiles(values: FloatArray) -> npt.NDArray[np.float32]:
    """Each gene standardised over the rows, then each row centred and of length 1; or zeros."""
    centred = values - values.mean(0, dtype=np.float64)
    deviation = centred.std(0)
    scaled = centred / np.where(deviation > 1e-9, deviation, np.inf)
    scaled -= scaled.mean(axis=1, keepdims=True)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(length > 1e-9, length, np.inf), np.float32)

"""Cell types without training: each type of a labelled bank as one vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from napari_past.errors import PastError
from napari_past.model.bank import Bank
from napari_past.model.halves import product
from napari_past.types import FloatArray

_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True, eq=False)
class Prototypes:
    """One vector for each cell type."""

    names: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    """(t, d), of length 1."""
    cells: npt.NDArray[np.int64]
    """(t,): of how many cells each is the mean."""


@dataclass(frozen=True, eq=False)
class NearestTypes:
    """The prototype nearest to each cell."""

    names: tuple[str, ...]
    code: npt.NDArray[np.int32]
    """(n,) places among `names`."""
    similarity: npt.NDArray[np.float32]
    """(n,) cosine to it."""
    margin: npt.NDArray[np.float32]
    """(n,) that cosine less the second best; near 0 a cell lies between two types. No type is made
    up for it: whoever uses it decides from which margin on a type is worth telling."""


def prototypes(bank: Bank, leave_out: npt.NDArray[np.bool_] | None = None) -> Prototypes:
    """The mean vector of each type's cells, at length 1; cells without a type do not count.

    Parameters
    ----------
    leave_out
        (n,): cells that must not count, as `Bank.left_out` gives them. A type that has no others is
        left out.

    Raises
    ------
    PastError
        Fewer than two types are left: there is nothing to tell apart.
    """
    names = bank.types.names
    codes = bank.types.codes if leave_out is None else np.where(leave_out, -1, bank.types.codes)
    sums = np.zeros((len(names), bank.vectors.shape[1]))
    for start in range(0, len(bank), _ROWS_AT_ONCE):
        code = codes[start : start + _ROWS_AT_ONCE]
        row = np.flatnonzero(code >= 0)
        member = csr_array((np.ones(len(row)), (code[row], row)), shape=(len(names), len(code)))
        sums += member @ bank.vectors[start : start + _ROWS_AT_ONCE].astype(np.float64)
    cells = np.bincount(codes[codes >= 0], minlength=len(names))
    there = np.flatnonzero(cells)
    if len(there) < 2:
        raise PastError(
            f"The bank {bank.name} has {len(there)} cell types to choose from, but at least two "
            f"are needed; build it with --type-key and a column that holds several."
        )
    length = np.linalg.norm(sums[there], axis=1, keepdims=True)
    vectors = (sums[there] / np.maximum(length, 1e-12)).astype(np.float32)
    return Prototypes(tuple(names[i] for i in there), vectors, cells[there].astype(np.int64))


def nearest_types(types: Prototypes, vectors: FloatArray) -> NearestTypes:
    """The type whose prototype is nearest by cosine, and by how much.

    Parameters
    ----------
    vectors
        (n, d) in the bank's space, of any length; float16 as stored is fine.

    Raises
    ------
    PastError
        Vectors of another size.
    """
    size = types.vectors.shape[1]
    if vectors.ndim != 2 or vectors.shape[1] != size:
        raise PastError(
            f"The prototypes have vectors of {size} numbers, but got {vectors.shape}; encode the "
            f"cells with the model that made the bank."
        )
    cosine = product(vectors, types.vectors.T)
    for start in range(0, len(cosine), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        length = np.linalg.norm(vectors[block].astype(np.float32), axis=1, keepdims=True)
        cosine[block] /= np.maximum(length, 1e-12)
    code = cosine.argmax(axis=1).astype(np.int32)
    best = np.partition(cosine, -2, axis=1)[:, -2:]
    return NearestTypes(types.names, code, best[:, 1], best[:, 1] - best[:, 0])

"""The measured values of a bank in its file: a gene after the other, so that each is read alone."""

from __future__ import annotations

import h5py
import numpy as np
from scipy.sparse import csc_array, vstack

_CHUNK = 65_536
_GENES_AT_ONCE = 64


def write_columns(file: h5py.File, parts: list[csc_array], shape: tuple[int, int]) -> None:
    """``X`` as CSC, a few genes at a time: putting blocks of rows together takes them twice."""
    if "X" in file:
        del file["X"]
    group = file.create_group("X")
    group.attrs.update({"encoding-type": "csc_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = np.array(shape, np.int64)
    counts = sum((np.diff(part.indptr).astype(np.int64) for part in parts), np.zeros(shape[1], int))
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    group.create_dataset("indptr", data=starts)
    packed = {"chunks": (_CHUNK,), "compression": "gzip", "compression_opts": 1, "shuffle": True}
    data = group.create_dataset("data", (starts[-1],), np.float32, maxshape=(None,), **packed)
    rows = group.create_dataset("indices", (starts[-1],), np.int32, maxshape=(None,), **packed)
    for first in range(0, shape[1], _GENES_AT_ONCE):
        last = min(first + _GENES_AT_ONCE, shape[1])
        some = csc_array(vstack([part[:, first:last] for part in parts], format="csc"))
        some.sort_indices()
        data[starts[first] : starts[last]] = some.data
        rows[starts[first] : starts[last]] = some.indices

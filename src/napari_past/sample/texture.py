"""Smooth random fields and the resampling that they need: the raw material of every texture.

All fields are float32 arrays (Y, X). A field's grain is given in pixels of its own grid.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import scipy.sparse

Field = npt.NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain_px: float) -> Field:
    """Noise of mean 0 and standard deviation 1 whose blobs are about `grain_px` wide, (Y, X).

    Normal numbers on a lattice of `grain_px`, joined by cubic B-splines; the cost does not grow
    with the grain, as that of a Gaussian filter would.
    """
    lattice = [math.ceil(n / grain_px) + 4 for n in shape]
    coarse = rng.standard_normal(lattice, dtype=np.float32)
    rows, columns = (_spline_weights(n, grain_px, m) for n, m in zip(shape, lattice, strict=True))
    field = _applied(rows, columns, coarse)
    # A cubic B-spline of white noise has a known mean variance: (151/315) per axis.
    return field / np.float32(151 / 315)


def resampled(field: Field, shape: tuple[int, int], step_px: float) -> Field:
    """The field on a grid whose pixels are `step_px` of its pixels wide, bilinear, (Y, X).

    Both grids share the outer corner of their first pixel; beyond the last pixel centre the nearest
    value is kept.
    """
    rows, columns = (
        _linear_weights(n, step_px, m) for n, m in zip(shape, field.shape, strict=True)
    )
    return _applied(rows, columns, field)


def ramp(values: Field, start: float, end: float) -> Field:
    """0 up to `start`, 1 from `end`, a smooth (Hermite) step between; `end` may be the lower."""
    t = np.clip((values - np.float32(start)) / np.float32(end - start), 0, 1)
    return t * t * (3 - 2 * t)


def _applied(rows: scipy.sparse.csr_array, columns: scipy.sparse.csr_array, field: Field) -> Field:
    """``rows @ field @ columns.T``, in the order that leaves the large result unturned."""
    wide = np.ascontiguousarray((columns @ field.T).T)
    return np.asarray(rows @ wide)


def _spline_weights(n: int, grain_px: float, lattice: int) -> scipy.sparse.csr_array:
    position = (np.arange(n) + 0.5) / grain_px + 1
    first = np.floor(position).astype(np.int64)
    t = position - first
    weights = (
        np.stack(
            [
                (1 - t) ** 3,
                3 * t**3 - 6 * t**2 + 4,
                -3 * t**3 + 3 * t**2 + 3 * t + 1,
                t**3,
            ],
            axis=1,
        )
        / 6
    )
    return _rows(weights, first[:, None] + np.arange(-1, 3), lattice)


def _linear_weights(n: int, step_px: float, source: int) -> scipy.sparse.csr_array:
    position = np.clip((np.arange(n) + 0.5) * step_px - 0.5, 0, source - 1)
    first = np.minimum(np.floor(position).astype(np.int64), max(source - 2, 0))
    t = position - first
    columns = np.minimum(first[:, None] + np.arange(2), source - 1)
    return _rows(np.stack([1 - t, t], axis=1), columns, source)


def _rows(
    weights: npt.NDArray[np.float64], columns: npt.NDArray[np.int64], width: int
) -> scipy.sparse.csr_array:
    n, k = weights.shape
    return scipy.sparse.csr_array(
        (weights.ravel().astype(np.float32), columns.ravel(), np.arange(0, n * k + 1, k)),
        shape=(n, width),
    )

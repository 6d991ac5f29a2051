"""Products of stored float16 vectors, fast enough to follow a click."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.types import FloatArray

_ROWS = 256
"""A block of them, widened, stays in a core's second-level cache."""
_SHIFT = 13
"""Bits by which float32's mantissa is longer than float16's."""
_SIGN_AND_VALUE = np.array(0x8FFFE000, np.uint32).view(np.int32)[()]
_EXPONENTS_APART = np.float32(2.0**112)
"""float32's exponent bias less float16's, as a factor."""


def half_product(
    rows: npt.NDArray[np.float16], weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """``rows.astype(float32) @ weight``, about four times as fast as numpy's conversion allows.

    A half shifted to where a single has its exponent and mantissa is that number times 2⁻¹¹²,
    exactly; the weights carry the factor, so nothing is rounded that would not be otherwise.

    Parameters
    ----------
    rows
        float16 (n, d), C-contiguous; infinities and NaN are not kept, and no tower gives them.
    weight
        float32 (d, g).

    Returns
    -------
    float32 (n, g)
    """
    bits = np.ascontiguousarray(rows).view(np.int16)
    scaled = np.ascontiguousarray(weight * _EXPONENTS_APART)
    result = np.empty((len(rows), weight.shape[1]), np.float32)
    wide = np.empty((_ROWS, rows.shape[1]), np.int32)
    for start in range(0, len(rows), _ROWS):
        block = bits[start : start + _ROWS]
        part = wide[: len(block)]
        np.left_shift(block, _SHIFT, out=part, dtype=np.int32)
        np.bitwise_and(part, _SIGN_AND_VALUE, out=part)
        np.matmul(part.view(np.float32), scaled, out=result[start : start + _ROWS])
    return result


def product(rows: FloatArray, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``rows @ weight`` in float32, (n, g), of vectors of any precision."""
    if rows.dtype == np.float16:
        return half_product(rows, weight)
    return np.asarray(rows, np.float32) @ weight

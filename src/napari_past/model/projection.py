"""From a tower's output to the space that both towers share, in numpy.

The viewer projects what workers stored, and imports no torch; `past_network.ProjectionHead` is the
same in torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from napari_past.model.halves import product
from napari_past.types import FloatArray

LAYER_NORM_EPS = 1e-5
_ROWS = 16_384
"""So many at once: as float32, a slide's vectors would take twice the memory they have."""


def project(
    vectors: FloatArray, tensors: Mapping[str, npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """Projected vectors, float32 (n, e), L2-normalised.

    Parameters
    ----------
    vectors
        (n, d), a tower's output, in any precision.
    tensors
        Of a projection head, by their names in it: ``enter.weight`` (e, d), ``inner.weight``
        (e, e), ``norm.weight`` (e,), and a ``bias`` (e,) of each.
    """
    result = np.empty((len(vectors), len(tensors["enter.bias"])), np.float32)
    for start in range(0, len(vectors), _ROWS):
        block = slice(start, start + _ROWS)
        entered = product(vectors[block], tensors["enter.weight"].T) + tensors["enter.bias"]
        activated = entered * (0.5 * (1 + erf(entered * np.float32(0.5**0.5))))
        joined = entered + activated @ tensors["inner.weight"].T + tensors["inner.bias"]
        centred = joined - joined.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + LAYER_NORM_EPS)
        result[block] = unit(centred / spread * tensors["norm.weight"] + tensors["norm.bias"])
    return result


def unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors (n, d) divided by their lengths; one of length 0 stays."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12))

"""How sure a figure is: over patients, or sections, and against chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.types import FloatArray, IntArray

LEAST_UNITS = 5
"""With fewer patients (or sections) the points are shown and no interval."""
LEAST_BLOCKS = 6
"""Fewer blocks have too few orders to tell chance from success."""
BLOCKS_A_SIDE = 5
_DRAWS = 10_000
_SEED = 20240229


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a mean."""

    low: float
    high: float
    units: int
    """How many patients, or sections, were drawn from."""


def bootstrap_mean(values: Mapping[str, Sequence[float]]) -> Interval | None:
    """95 % interval of the mean over patients, or None with fewer than five of them.

    Percentile bootstrap (Efron & Tibshirani 1993) over whole patients: sections of one patient are
    averaged first, because they are alike. The same values give the same interval.

    Parameters
    ----------
    values
        Patient (or section, where there is one patient) → a value for each of its sections; NaN
        are left out, and so is a patient with nothing else.
    """
    means = [
        float(np.mean(finite)) for v in values.values() if (finite := [x for x in v if x == x])
    ]
    if len(means) < LEAST_UNITS:
        return None
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(len(means), size=(_DRAWS, len(means)))
    low, high = np.quantile(np.asarray(means)[drawn].mean(axis=1), (0.025, 0.975))
    return Interval(float(low), float(high), len(means))


def spatial_blocks(row_um: FloatArray) -> npt.NDArray[np.int64]:
    """Which of about 25 squares over the section each row lies in, int64 (r,).

    Parameters
    ----------
    row_um
        (r, 2), (x, y) in µm.
    """
    if not len(row_um):
        return np.zeros(0, np.int64)
    corner, extent = row_um.min(0), np.ptp(row_um, axis=0)
    # A section that is a line is cut into as many pieces as a square is.
    area_um2 = max(float(extent[0] * extent[1]), float(extent.max() / BLOCKS_A_SIDE) ** 2, 1e-9)
    side_um = math.sqrt(area_um2) / BLOCKS_A_SIDE
    # The far edge belongs to the last block.
    column_row = np.floor((row_um - corner) / side_um * (1 - 1e-9))
    _, blocks = np.unique(column_row, axis=0, return_inverse=True)
    return np.asarray(blocks.reshape(-1), np.int64)


def permutation_null(
    predicted: FloatArray, measured: FloatArray, blocks: IntArray, n: int, seed: int
) -> npt.NDArray[np.float32]:
    """Pearson r of each gene when predictions are laid on other parts of the tissue, (n, G).

    Neighbours are alike, in what is measured and in what is predicted, so that shuffling single
    rows would make chance look smaller than it is. Whole blocks change places, and rows keep their
    order within one (block permutation; compare Lahiri 2003, Resampling Methods for Dependent
    Data).

    Parameters
    ----------
    predicted, measured
        (r, G).
    blocks
        (r,), the block of each row, as `spatial_blocks` gives it.
    n
        How many shuffles.

    Returns
    -------
    float32; NaN for a gene that is constant on either side.

    Raises
    ------
    PastError
        There are fewer than six blocks.
    """
    members = [np.flatnonzero(blocks == b) for b in np.unique(blocks)]
    if len(members) < LEAST_BLOCKS:
        raise PastError(
            f"A permutation null needs rows in at least {LEAST_BLOCKS} blocks of tissue, but they "
            f"lie in {len(members)}; give a larger section."
        )
    order = np.concatenate(members)
    p, m = _standardised(predicted[order]), _standardised(measured[order])
    starts = np.cumsum([0, *(len(rows) for rows in members)])
    rng = np.random.default_rng(seed)
    result = np.empty((n, predicted.shape[1]), np.float32)
    for k in range(n):
        shuffled = rng.permutation(len(members))
        rows = np.concatenate([np.arange(starts[b], starts[b + 1]) for b in shuffled])
        result[k] = np.einsum("rg,rg->g", p, m[rows])
    return result


def _standardised(values: FloatArray) -> npt.NDArray[np.float32]:
    """Columns of mean 0 and length 1, so that a product is a Pearson r; constants become NaN."""
    centred = values - values.mean(0, dtype=np.float64)
    length = np.sqrt((centred**2).sum(0))
    return np.asarray(centred / np.where(length > 1e-9, length, np.nan), np.float32)

"""How sure a figure is: over patients, or sections, and against chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.types import FloatArray, IntArray
from napari_past.validation.metrics import unit_length

LEAST_UNITS = 5
"""With fewer patients (or sections) the points are shown and no interval."""
LEAST_BLOCKS = 6
"""Fewer blocks have too few orders to tell chance from success."""
BLOCKS_A_SIDE = 5
_DRAWS = 10_000
_GENES_AT_ONCE = 200
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
    low, high = bootstrap_means(np.asarray(means)[:, None])
    return Interval(float(low[0]), float(high[0]), len(means))


def bootstrap_means(
    means: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """`bootstrap_mean` of many figures at once: low and high, (G,) each; NaN with too few units.

    Parameters
    ----------
    means
        (U, G), the mean of each patient; NaN are left out.
    """
    low, high = np.full((2, means.shape[1]), np.nan)
    for start in range(0, means.shape[1], _GENES_AT_ONCE):
        some = slice(start, start + _GENES_AT_ONCE)
        low[some], high[some] = np.quantile(bootstrap_draws(means[:, some]), (0.025, 0.975), axis=0)
    return low, high


def bootstrap_draws(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means over patients drawn with replacement, (10,000, G); NaN with fewer than five of them.

    Parameters
    ----------
    means
        (U, G), the mean of each patient; NaN are left out.
    """
    result = np.full((_DRAWS, means.shape[1]), np.nan)
    patterns, of = np.unique(np.isfinite(means), axis=1, return_inverse=True)
    for k, finite in enumerate(patterns.T):
        units = int(finite.sum())
        if units >= LEAST_UNITS:
            columns = np.flatnonzero(of.reshape(-1) == k)
            drawn = np.random.default_rng(_SEED).integers(units, size=(_DRAWS, units))
            result[:, columns] = times_drawn(drawn, units) @ means[np.ix_(finite, columns)] / units
    return result


def times_drawn(drawn: npt.NDArray[np.int64], units: int) -> npt.NDArray[np.float64]:
    """How often each unit occurs in each draw, (D, U), of their numbers (D, draws)."""
    draws = len(drawn)
    places = (np.arange(draws)[:, None] * units + drawn).ravel()
    counts = np.bincount(places, minlength=draws * units).reshape(draws, units)
    return counts.astype(np.float64)


def spatial_blocks(row_um: FloatArray) -> npt.NDArray[np.int64]:
    """Which of about 25 squares over the section each row lies in, int64 (r,).

    Parameters
    ----------
    row_um
        (r, 2), (x, y) in µm.
    """
    _, blocks = np.unique(squares(row_um).column_row, axis=0, return_inverse=True)
    return np.asarray(blocks.reshape(-1), np.int64)


@dataclass(frozen=True, eq=False)
class Squares:
    """In which squares of tissue rows lie, and where in them."""

    column_row: npt.NDArray[np.int64]
    """(r, 2)."""
    to_line_um: npt.NDArray[np.float64]
    """(r,), to the nearest line between two squares; infinite where there is none."""
    side_um: float


def squares(row_um: FloatArray, least_side_um: float = 0.0) -> Squares:
    """About 25 squares over the section, fewer where they would be smaller than asked.

    Parameters
    ----------
    row_um
        (r, 2), (x, y) in µm.
    """
    if not len(row_um):
        return Squares(np.zeros((0, 2), np.int64), np.zeros(0), least_side_um)
    corner, extent = row_um.min(0), np.ptp(row_um, axis=0)
    # A section that is a line is cut into as many pieces as a square is.
    area_um2 = max(float(extent[0] * extent[1]), float(extent.max() / BLOCKS_A_SIDE) ** 2, 1e-9)
    side_um = max(math.sqrt(area_um2) / BLOCKS_A_SIDE, least_side_um)
    # The far edge belongs to the last block.
    at = (row_um - corner) / side_um * (1 - 1e-9)
    column_row = np.floor(at).astype(np.int64)
    last = column_row.max(0)
    below = np.where(column_row > 0, at - column_row, np.inf)
    above = np.where(column_row < last, column_row + 1 - at, np.inf)
    return Squares(column_row, np.minimum(below, above).min(1) * side_um, side_um)


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
    p, m = unit_length(predicted[order], np.nan), unit_length(measured[order], np.nan)
    starts = np.cumsum([0, *(len(rows) for rows in members)])
    rng = np.random.default_rng(seed)
    result = np.empty((n, predicted.shape[1]), np.float32)
    for k in range(n):
        shuffled = rng.permutation(len(members))
        rows = np.concatenate([np.arange(starts[b], starts[b + 1]) for b in shuffled])
        result[k] = np.einsum("rg,rg->g", p, m[rows])
    return result

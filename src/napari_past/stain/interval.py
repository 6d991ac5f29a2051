"""How far a score depends on which parts of the tissue were sampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from napari_past.stain.correlation import correlogram

LEAST_BLOCK_UM = 200.0
LEAST_BLOCKS = 10
"""With fewer occupied blocks no interval is given."""
BLOCK_RANGES = 1.5
"""Side of a block in ranges of autocorrelation."""

_DRAWS = 1000
_DRAWS_AT_ONCE = 50
_SEED = 20240229
_MOST_WIDENING = 2.0


def block_side_um(points: npt.NDArray[np.number], centers_um: npt.NDArray[np.floating]) -> float:
    """Side in µm of the blocks whose cells are drawn together: 1.5 ranges of likeness.

    At least 200 µm; infinite where cells are alike over more than `correlation.FARTHEST_UM`, or
    where there are none. See `correlation.Correlogram.range_um`.

    Parameters
    ----------
    points
        (n,), what each cell adds: its class, 0 to 3.
    centers_um
        (n, 2), (x, y) in µm, finite.
    """
    if not len(points):
        return float("inf")
    return max(LEAST_BLOCK_UM, BLOCK_RANGES * correlogram(points, centers_um).range_um)


def sampling_intervals(
    points: Sequence[npt.NDArray[np.number] | npt.NDArray[np.bool_]],
    centers_um: npt.NDArray[np.floating],
    side_um: float,
) -> list[tuple[float, float]]:
    """The 95 % intervals of ``100 · mean(p)`` of each of `points`, by drawing blocks of tissue.

    It tells how the score varies with the tissue that was sampled, for this model; it says nothing
    of the model's own error. Blocks are squares on a grid from the slide's origin; as many as are
    occupied are drawn with replacement, 1000 times (block bootstrap; Künsch 1989). Few blocks make
    such intervals too narrow, so quantiles follow Student's t (Hesterberg 2015). So do correlations
    across the borders of blocks, by a part that falls as one over the side (Hall, Horowitz & Jing
    1995): it is estimated from blocks of half the side. The same cells give the same interval.

    Parameters
    ----------
    points
        Each (n,): what each cell adds to one score.
    centers_um
        (n, 2), (x, y) in µm, finite.
    side_um
        Of a block, as `block_side_um` gives it.

    Returns
    -------
    Lower and upper limit of each, within 100 times the least and the most that a cell adds; NaN
    both under 10 occupied blocks.
    """
    n = len(centers_um)
    block = _blocks(centers_um, side_um) if n and np.isfinite(side_um) else np.zeros(n, np.int64)
    blocks = int(block.max()) + 1 if n else 0
    if blocks < LEAST_BLOCKS:
        return [(float("nan"), float("nan"))] * len(points)
    half = _blocks(centers_um, side_um / 2)
    given = [np.asarray(values, np.float64) for values in points]
    scores = _drawn_means(block, given)
    student = stdtrit(blocks - 1, 0.975) * np.sqrt(blocks / (blocks - 1))
    tail = float(ndtr(-student))
    intervals = []
    for values, of_draws in zip(given, scores, strict=True):
        mean = float(values.mean())
        whole, fine = (_variance(values - mean, where) for where in (block, half))
        part = 2 - fine / whole if whole > 0 else 1.0
        widening = np.sqrt(np.clip(part, 1.0, _MOST_WIDENING))
        lower, upper = mean + widening * (np.quantile(of_draws, (tail, 1 - tail)) - mean)
        least, most = float(values.min()), float(values.max())
        intervals.append((100 * max(least, float(lower)), 100 * min(most, float(upper))))
    return intervals


def _blocks(centers_um: npt.NDArray[np.floating], side_um: float) -> npt.NDArray[np.int64]:
    """Number of each cell's block, from 0 and without gaps."""
    column_row = np.floor(np.asarray(centers_um, np.float64) / side_um).astype(np.int64)
    # One number per block; column_row itself would have to be sorted by rows, which is slow.
    span = int(np.ptp(column_row[:, 1])) + 1
    return np.unique(column_row @ np.array([span, 1]), return_inverse=True)[1]


def _drawn_means(
    block: npt.NDArray[np.int64], given: Sequence[npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Mean of each of `given` over the cells of the drawn blocks, (len(given), draws)."""
    sums = [np.bincount(block), *(np.bincount(block, values) for values in given)]
    rng = np.random.default_rng(_SEED)
    totals = np.empty((len(sums), _DRAWS))
    # A few draws at once: a slide may have a hundred thousand blocks.
    for start in range(0, _DRAWS, _DRAWS_AT_ONCE):
        drawn = rng.integers(len(sums[0]), size=(_DRAWS_AT_ONCE, len(sums[0])), dtype=np.int32)
        for total, of_blocks in zip(totals, sums, strict=True):
            total[start : start + _DRAWS_AT_ONCE] = of_blocks[drawn].sum(axis=1)
    return totals[1:] / totals[0]


def _variance(deviations: npt.NDArray[np.float64], block: npt.NDArray[np.int64]) -> float:
    """Of the mean over all cells, from the sums of blocks as independent ones."""
    sums = np.bincount(block, deviations)
    return float(sums @ sums) / len(deviations) ** 2 * len(sums) / (len(sums) - 1)

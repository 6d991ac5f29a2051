"""How far a score depends on which parts of the tissue were sampled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK_UM = 250.0
"""Side of a block in µm: its cells are drawn together, because neighbours are alike."""

LEAST_BLOCKS = 10
"""With fewer occupied blocks no interval is given."""

_DRAWS = 1000
_DRAWS_AT_ONCE = 50
_SEED = 20240229


def sampling_interval(
    points: npt.NDArray[np.integer], centers_um: npt.NDArray[np.floating]
) -> tuple[float, float]:
    """The 95 % interval of ``100 · mean(points)`` under a bootstrap over spatial blocks.

    It tells how the score varies with the tissue that was sampled, for this model; it says nothing
    of the model's own error. Blocks are squares of 250 µm on a grid from the slide's origin; as
    many as are occupied are drawn with replacement, 1000 times (percentile interval of a block
    bootstrap; Efron & Tibshirani 1993). The same cells give the same interval.

    Parameters
    ----------
    points
        (n,), what each cell adds: its class, 0 to 3.
    centers_um
        (n, 2), (x, y) in µm, finite.

    Returns
    -------
    Lower and upper limit, 0 to 300 for classes; NaN both under 10 occupied blocks.
    """
    column_row = np.floor(np.asarray(centers_um, dtype=np.float64) / BLOCK_UM).astype(np.int64)
    # One number per block; column_row itself would have to be sorted by rows, which is slow.
    span = int(np.ptp(column_row[:, 1])) + 1 if len(column_row) else 1
    _, block = np.unique(column_row @ np.array([span, 1]), return_inverse=True)
    cells = np.bincount(block)
    blocks = len(cells)
    if blocks < LEAST_BLOCKS:
        return float("nan"), float("nan")
    sums = np.bincount(block, weights=points)
    rng = np.random.default_rng(_SEED)
    scores = np.empty(_DRAWS)
    for start in range(0, _DRAWS, _DRAWS_AT_ONCE):
        drawn = rng.integers(blocks, size=(_DRAWS_AT_ONCE, blocks))
        scores[start : start + _DRAWS_AT_ONCE] = (
            100 * sums[drawn].sum(axis=1) / cells[drawn].sum(axis=1)
        )
    lower, upper = np.quantile(scores, (0.025, 0.975))
    return float(lower), float(upper)

"""Scores that estimate stain: sums of probabilities, because predicted means are shrunken.

A prediction is the mean of what a cell may have. Means vary less than the cells themselves, so
that counting the means above a cut-off empties the classes 0 and 3+. The probability that a cell
lies above the cut-off, averaged over cells, has no such bias where the predictive distribution is
right.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from napari_past.types import Cutoffs


def exceedance(
    mean: npt.ArrayLike, deviation: npt.ArrayLike, cutoffs: Cutoffs
) -> npt.NDArray[np.float64]:
    """P(y >= cut-off k) of each cell under a Gaussian predictive distribution, (n, 3), 0 to 1.

    Parameters
    ----------
    mean
        (n,), predicted means in the unit of the cut-offs; NaN gives NaN.
    deviation
        (n,) or one number, standard deviation of the predictive distribution; 0 where the mean is
        certain, which makes the probabilities 0 or 1 and a tie 1.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a negative deviation.
    """
    means = np.asarray(mean, np.float64)
    deviations = np.asarray(deviation, np.float64)
    if means.ndim != 1 or deviations.shape not in ((), means.shape):
        raise ValueError(
            f"Means (n,) need one deviation or (n,), but got {means.shape} and {deviations.shape}."
        )
    if (deviations < 0).any():
        raise ValueError("A deviation is not negative.")
    above = means[:, None] - np.array(cutoffs.values)
    spread = np.broadcast_to(deviations, means.shape)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        likely = ndtr(above / spread)
    certain = np.where(np.isnan(above), np.nan, above >= 0)
    return np.where(spread == 0, certain, likely)


def expected_classes(
    mean: npt.ArrayLike, deviation: npt.ArrayLike, cutoffs: Cutoffs
) -> npt.NDArray[np.float64]:
    """The expected parts of cells of the classes 0, 1+, 2+ and 3+, (4,), sum 1; NaN without cells.

    Arguments and errors as of `exceedance`; cells whose mean or deviation is NaN are left out.
    """
    above = exceedance(mean, deviation, cutoffs)
    above = above[~np.isnan(above).any(axis=1)]
    if not len(above):
        return np.full(4, np.nan)
    reached = np.concatenate([[1.0], above.mean(axis=0), [0.0]])
    return -np.diff(reached)


def expected_h_score(mean: npt.ArrayLike, deviation: npt.ArrayLike, cutoffs: Cutoffs) -> float:
    """The expected H-score, 100 · Σₖ mean P(y >= cₖ), 0–300; NaN without cells.

    Arguments and errors as of `exceedance`; cells whose mean or deviation is NaN are left out. It
    is as right as the predictive distribution: too small a deviation brings the bias of counted
    means back.
    """
    above = exceedance(mean, deviation, cutoffs)
    above = above[~np.isnan(above).any(axis=1)]
    return 100 * float(above.mean(axis=0).sum()) if len(above) else float("nan")

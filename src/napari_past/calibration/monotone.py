"""The monotone map from predicted to measured values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

FloatArray = npt.NDArray[np.float64]
Knots = tuple[tuple[float, float], ...]

MOST_KNOTS = 200


def monotone_map(x: FloatArray, y: FloatArray, weights: FloatArray) -> Knots:
    """Knots (x, y) of the centred isotonic regression of y on x, ascending, two at least.

    Isotonic regression has steps. Its centred form (Oron & Flournoy 2017, Stat Biopharm Res 9:258)
    puts the value of each step at the step's weighted mean x and joins these points with straight
    lines; from the outermost to the ends of the data it is level. There is nothing to choose or to
    draw at random.

    Parameters
    ----------
    x, y, weights
        (n,), finite; weights positive; at least two different x.
    """
    values, group = np.unique(x, return_inverse=True)
    weight = np.bincount(group, weights)
    mean = np.bincount(group, weights * y) / weight
    fitted = isotonic_regression(mean, weights=weight)
    starts = fitted.blocks[:-1]
    sums = np.add.reduceat(weight, starts)
    centres = np.add.reduceat(weight * values, starts) / sums
    heights = fitted.x[starts]
    if len(centres) > MOST_KNOTS:
        kept = np.unique(np.linspace(0, len(centres) - 1, MOST_KNOTS).round().astype(int))
        centres, heights = centres[kept], heights[kept]
    knots = [(float(a), float(b)) for a, b in zip(centres, heights, strict=True)]
    first, last = float(values[0]), float(values[-1])
    if first < knots[0][0]:
        knots.insert(0, (first, knots[0][1]))
    if last > knots[-1][0]:
        knots.append((last, knots[-1][1]))
    return tuple(knots)


def mapped(knots: Knots, x: npt.ArrayLike) -> FloatArray:
    """The map's value at each x, (n,); level beyond the knots, NaN where x is."""
    places, heights = np.array(knots).T
    return np.interp(np.asarray(x, np.float64), places, heights)

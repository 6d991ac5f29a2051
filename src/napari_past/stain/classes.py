"""Classes of cells, negative to 3+, and the cut-offs between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_past.errors import MissingCutoffs
from napari_past.types import Cutoffs

CLASS_NAMES = ("Negative", "1+", "2+", "3+")
"""Names of the classes 0 to 3, as QuPath writes them."""

CLASS_COLOURS = ((90, 90, 180), (255, 215, 0), (225, 150, 50), (200, 50, 50))
"""Red, green, blue of the classes 0 to 3, QuPath's."""


def classes(values: npt.ArrayLike, cutoffs: Cutoffs) -> npt.NDArray[np.int8]:
    """The class of each value: 0 negative, 1 to 3 for 1+ to 3+, −1 where there is none.

    Parameters
    ----------
    values
        (n,), in the unit of the cut-offs. NaN has no class.
    cutoffs
        A value >= cut-off k has class k or higher.

    Returns
    -------
    (n,) int8, −1 to 3.
    """
    given = np.asarray(values)
    # A Python float is compared in the values' own precision: a float32 0.7 reaches 0.7.
    found = sum(
        ((given >= limit).astype(np.int8) for limit in cutoffs.values),
        start=np.zeros(given.shape, np.int8),
    )
    return np.where(np.isnan(given), np.int8(-1), found)


def quantile_cutoffs(
    values: npt.ArrayLike, quantiles: tuple[float, float, float], source: str
) -> Cutoffs:
    """Cut-offs at three quantiles (each 0 to 1, ascending) of the values; NaN is left out.

    Parameters
    ----------
    values
        (n,), any unit, which the cut-offs then have.
    quantiles
        The parts of the values that lie below the limits to 1+, 2+ and 3+; interpolated linearly.
    source
        Where the cut-offs come from, to be shown with every score.

    Raises
    ------
    MissingCutoffs
        The values do not give three ascending numbers: there are too few, or too many are equal.
    """
    given = np.asarray(values, dtype=np.float64)
    given = given[np.isfinite(given)]
    limits = np.quantile(given, quantiles) if given.size else np.full(3, np.nan)
    weak, moderate, strong = (float(limit) for limit in limits)
    if not weak < moderate < strong:
        raise MissingCutoffs(
            f"The quantiles {', '.join(f'{q:g}' for q in quantiles)} of {given.size} values are "
            f"{weak:g}, {moderate:g} and {strong:g}, which are not three ascending cut-offs; "
            "give cut-offs instead."
        )
    return Cutoffs(weak, moderate, strong, source)

"""Cut-offs of which one is moved by hand. Knows no Qt."""

from __future__ import annotations

import math

from napari_past.types import Cutoffs

GIVEN = "set by you"


def decimals_of(cutoffs: Cutoffs) -> int:
    """How many decimals tell cut-offs apart well: at least 2, and a hundredth of their span."""
    return max(2, 2 - math.floor(math.log10(cutoffs.strong - cutoffs.weak)))


def moved(cutoffs: Cutoffs, k: int, value: float, decimals: int) -> Cutoffs:
    """The same with cut-off `k` at a value, or as near to it as its neighbours are.

    The others stay where they are, to the last digit; a line that meets another one stops.

    Parameters
    ----------
    k
        0, 1 or 2 for 1+, 2+ and 3+.
    value
        In the unit of the cut-offs; it is rounded.
    """
    gap = 10.0**-decimals
    least = cutoffs.values[k - 1] + gap if k else value
    most = cutoffs.values[k + 1] - gap if k < 2 else value
    wanted = round(min(max(value, least), most), decimals)
    if least > most or wanted == round(cutoffs.values[k], decimals):
        return cutoffs
    return typed(cutoffs, k, wanted)


def typed(cutoffs: Cutoffs, k: int, value: float) -> Cutoffs:
    """The same with cut-off `k` at exactly this value.

    Raises
    ------
    ValueError
        The three would not ascend.
    """
    weak, moderate, strong = (value if i == k else v for i, v in enumerate(cutoffs.values))
    return Cutoffs(weak, moderate, strong, GIVEN)

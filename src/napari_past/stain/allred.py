"""The Allred score: how many cells are positive, and how strongly (Allred et al. 1998)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PROPORTION_STEPS = (0, 10, 100, 333, 667)
"""Positive cells in a thousand; above each of them the proportion score is one higher."""


@dataclass(frozen=True)
class Allred:
    """The two parts of the score."""

    proportion: int
    """0–5."""
    intensity: int
    """0–3."""

    @property
    def total(self) -> int:
        """0, or 2–8."""
        return self.proportion + self.intensity


def allred(counts: Sequence[int] | npt.NDArray[np.integer]) -> Allred | None:
    """The Allred score of classes; None without cells.

    The proportion score is the number of steps, 0, 1, 10, 33.3 and 66.7 %, that the positive part
    lies above. The intensity score follows the mean class of the positive cells: 1, above 5/3 2,
    above 7/3 3.

    Parameters
    ----------
    counts
        (4,), cells of the classes 0, 1+, 2+ and 3+.
    """
    n0, n1, n2, n3 = (int(count) for count in counts)
    positive, points = n1 + n2 + n3, n1 + 2 * n2 + 3 * n3
    n = n0 + positive
    if not n:
        return None
    # Whole numbers throughout: a tie is a tie.
    proportion = sum(1000 * positive > step * n for step in PROPORTION_STEPS)
    if not positive:
        return Allred(0, 0)
    return Allred(proportion, 1 + (3 * points > 5 * positive) + (3 * points > 7 * positive))

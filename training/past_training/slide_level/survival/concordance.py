"""Harrell's and Uno's C as sums over pairs, which a bootstrap weighs anew by a product.

A pair is comparable where one's event is seen before the other's time, or at the time at which the
other is censored; equal risks count half. torchsurv has both indices (its values, and
scikit-survival's, are in the tests) but walks through patients in Python, which a thousand
resamples cannot afford.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of m patients: row i has the earlier event."""

    comparable: F64
    """(m, m), the weight of each pair; 0 where it cannot be compared."""

    @property
    def any(self) -> bool:
        """Whether a C is defined."""
        return bool(self.comparable.any())


def harrell_pairs(time: F64, event: Bool) -> Pairs:
    """All comparable pairs weigh the same (Harrell et al., 1982)."""
    earlier = (time[:, None] < time[None]) | ((time[:, None] == time[None]) & ~event[None])
    return Pairs((event[:, None] & earlier).astype(np.float64))


def uno_pairs(time: F64, event: Bool, inverse_weight: F64, tau: float) -> Pairs:
    """Pairs whose event comes before `tau`, by the squared inverse of the censoring survival.

    Uno et al., Statistics in Medicine 30 (2011), equation 6; `inverse_weight` (m,) comes from the
    training fold.
    """
    weight = np.where(time < tau, inverse_weight**2, 0.0)
    return Pairs(harrell_pairs(time, event).comparable * weight[:, None])


def order_of(risk: F64) -> F64:
    """(m, m) 1 where the row's risk is higher, 1/2 where both are equal."""
    return (risk[:, None] > risk[None]) + 0.5 * (risk[:, None] == risk[None])


def concordance(pairs: Pairs, risk: F64) -> float:
    """C; NaN where no pair can be compared."""
    total = pairs.comparable.sum()
    return float((pairs.comparable * order_of(risk)).sum() / total) if total > 0 else float("nan")


def resampled(pairs: Pairs, risk: F64, counts: F64) -> F64:
    """(b,) C where each patient is there `counts` (b, m) times.

    Copies of one patient are never a pair: its event does not come before its own time. NaN where
    a resample has no comparable pair.
    """
    concordant = ((counts @ (pairs.comparable * order_of(risk))) * counts).sum(axis=1)
    total = ((counts @ pairs.comparable) * counts).sum(axis=1)
    return np.divide(concordant, total, out=np.full(len(counts), np.nan), where=total > 0)

"""Over which distance the classes of neighbours are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

BIN_UM = 25.0
"""Side of the squares in which cells are gathered, and the step between distances."""
FARTHEST_UM = 2500.0
"""Distances are compared up to here."""
RANGE_LEVEL = 0.1
"""The range ends where the correlation is this part of that of the nearest neighbours."""
_MOST_BINS = 4_000_000


@dataclass(frozen=True)
class Correlogram:
    """Correlation of cells' classes by the distance between them."""

    distance_um: npt.NDArray[np.float64]
    """(k,), 0 for cells of one square, then steps of a square's side."""
    correlation: npt.NDArray[np.float64]
    """(k,), mean product of two cells' deviations from the mean, over the variance; 0 where no
    two cells are that far apart."""
    pairs: npt.NDArray[np.float64]
    """(k,), pairs of cells; each is counted twice, from either end."""

    @property
    def range_um(self) -> float:
        """The distance at which cells are hardly alike any more; infinite where there is none.

        That is where the correlation first falls to a tenth of the nearest neighbours', or under
        what chance gives (two standard errors of uncorrelated pairs). 0 where not even the nearest
        are more alike than chance makes them.
        """
        known = np.flatnonzero(self.pairs)
        if not len(known):
            return 0.0
        correlation, distance_um = self.correlation[known], self.distance_um[known]
        chance = 2 * np.sqrt(2 / self.pairs[known])
        # Few pairs share a square where cells are sparse: then the next distance tells.
        first = int(correlation[:2].argmax())
        nearest = float(correlation[first])
        if nearest <= chance[first]:
            return 0.0
        hardly = correlation <= np.maximum(RANGE_LEVEL * nearest, chance)
        ends = np.flatnonzero(hardly[first:])
        return float(distance_um[first + ends[0]]) if len(ends) else float("inf")


def correlogram(
    points: npt.NDArray[np.number], centers_um: npt.NDArray[np.floating]
) -> Correlogram:
    """The correlogram of `points`, from sums in squares of 25 µm (larger on huge areas).

    Squares make it a convolution, so that a million cells take a fraction of a second.

    Parameters
    ----------
    points
        (n,), at least one, finite.
    centers_um
        (n, 2), (x, y) in µm, finite.
    """
    deviations = np.asarray(points, np.float64) - np.mean(points)
    power = float(deviations @ deviations)
    origin = centers_um.min(axis=0)
    width_um, height_um = np.maximum(centers_um.max(axis=0) - origin, BIN_UM)
    side = max(BIN_UM, float(np.sqrt(width_um * height_um / _MOST_BINS)))
    column, row = ((centers_um - origin) / side).astype(np.int64).T
    columns, rows = int(column.max()) + 1, int(row.max()) + 1
    most = max(1, int(FARTHEST_UM / side))
    steps_x, steps_y = min(most, columns - 1), min(most, rows - 1)
    # Zeros beyond the cells, as far as distances go: what the transform wraps around meets nothing.
    wide = fft.next_fast_len(columns + steps_x, real=True)
    high = fft.next_fast_len(rows + steps_y, real=True)
    flat = row * wide + column
    window = np.ix_(np.arange(-steps_y, steps_y + 1), np.arange(steps_x + 1))

    def products(weights: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
        """Sum over all pairs of the product of their weights, by the step between squares."""
        image = np.bincount(flat, weights, minlength=wide * high).reshape(high, wide)
        spectrum = fft.rfft2(image)
        squared = spectrum.real**2 + spectrum.imag**2
        found = np.asarray(fft.irfft2(squared, s=(high, wide))[window], np.float64)
        found[:, 1:] *= 2  # a step to the left is one to the right, seen from the other end
        return found

    alike, pairs = products(deviations), products(None)
    alike[steps_y, 0] -= power  # a cell is no pair with itself
    pairs[steps_y, 0] -= len(points)
    away = np.hypot(np.arange(-steps_y, steps_y + 1)[:, None], np.arange(steps_x + 1))
    ring = np.rint(away).astype(np.int64)
    near = ring <= most
    by_ring = np.rint(np.bincount(ring[near], pairs[near], minlength=2))
    together = np.bincount(ring[near], alike[near], minlength=2)
    variance = power / len(points)
    known = (by_ring > 0) & (variance > 0)
    correlation = np.zeros(len(by_ring))
    correlation[known] = together[known] / by_ring[known] / variance
    distance_um = side * np.arange(len(by_ring), dtype=np.float64)
    return Correlogram(distance_um, correlation, by_ring)

"""The hottest place of a slide: where a circle holds the highest part, or the most, of positive
cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.ndimage import maximum_filter

from napari_past.types import INCLUDE, TUMOUR, Region

HOT_SPOT_MM2 = 0.25
"""Area of the circle: 0.56 mm across, about a field of view at 400x."""
BY_PERCENT, BY_DENSITY = "percent", "density"

_BINS_A_RADIUS = 12
_MOST_BINS = 4_000_000
_TRIED_AT_ONCE = 256
_MOST_TRIED = 4096
_UNCERTAIN = 0.8
_QUAD_SEGMENTS = 64

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HotSpot:
    """A circle and what lies in it."""

    region: Region
    """The circle; scoring it gives the same counts."""
    center_um: tuple[float, float]
    """(x, y)."""
    area_mm2: float
    n: int
    """Cells with a class."""
    positive: int
    """Of these, 1+ or higher."""

    @property
    def pct_positive(self) -> float:
        return 100 * self.positive / self.n

    @property
    def density_mm2(self) -> float:
        """Positive cells per mm² of the circle."""
        return self.positive / self.area_mm2

    @property
    def sentence(self) -> str:
        """Size, n and place, one line."""
        x_um, y_um = self.center_um
        return (
            f"{self.pct_positive:.1f} % of {self.n} cells in a circle of {self.area_mm2:g} mm² "
            f"around x {x_um:.0f}, y {y_um:.0f} µm"
        )


def hot_spot(
    found: npt.NDArray[np.integer],
    centers_um: npt.NDArray[np.floating],
    *,
    least_cells: int,
    area_mm2: float = HOT_SPOT_MM2,
    by: str = BY_PERCENT,
    within: Region | None = None,
) -> HotSpot | None:
    """The hottest circle among those that hold enough cells; None where none does.

    The centres that are tried lie among cells, on a grid of a twelfth of the radius that is
    anchored to the slide's origin. Counts in squares choose the few places that are then counted
    cell by cell; what is returned is exact for its circle. Of equally hot places that with more
    cells is taken, then the upper, then the left one: the same cells give the same place. Being
    the highest of many, its percentage is above what a place chosen beforehand would have, and the
    more so the fewer cells it holds.

    Parameters
    ----------
    found
        (n,), classes 0 to 3; −1 is not counted.
    centers_um
        (n, 2), (x, y) in µm, finite.
    least_cells
        That a circle must hold, at least 1.
    area_mm2
        Of the circle.
    by
        "percent": the highest part of positive cells. "density": the most positive cells.
    within
        Circles have their centre in this region, which must be at least as large as they are; only
        cells that were counted in it should be given.

    Raises
    ------
    ValueError
        `by` is another word, or a number is not positive.
    """
    if by not in (BY_PERCENT, BY_DENSITY):
        raise ValueError(f'A hot spot is found by "percent" or "density", but got {by!r}.')
    if not area_mm2 > 0 or least_cells < 1:
        raise ValueError(
            f"A hot spot needs a positive area and number of cells, but got {area_mm2} mm² and "
            f"{least_cells}."
        )
    classified = np.asarray(found) >= 0
    centers = np.asarray(centers_um, np.float64)[classified]
    too_small = within is not None and within.polygon_um.area < area_mm2 * 1e6
    if len(centers) < least_cells or too_small:
        return None
    radius_um = 1000 * math.sqrt(area_mm2 / math.pi)
    places = _Places(centers, np.asarray(found)[classified] > 0, radius_um)
    tried = places.most_promising(least_cells, by, within)
    for x_um, y_um in places.ranked(tried, least_cells, by):
        circle = shapely.Point(x_um, y_um).buffer(radius_um, quad_segs=_QUAD_SEGMENTS)
        name = "Hot spot" if within is None else f"Hot spot of {within.name}"
        role = TUMOUR if within is not None and within.role == TUMOUR else INCLUDE
        region = Region(name, role, circle)
        n, positive = places.inside(region)
        # The polygon has corners: a cell at the very edge may lie outside of it.
        if n >= least_cells:
            return HotSpot(region, (x_um, y_um), area_mm2, n, positive)
    return None


class _Places:
    """Cells sorted into squares, and the circles around the centres of these squares."""

    def __init__(
        self,
        centers_um: npt.NDArray[np.float64],
        positive: npt.NDArray[np.bool_],
        radius_um: float,
    ) -> None:
        self._radius_um = radius_um
        low, high = centers_um.min(axis=0), centers_um.max(axis=0)
        area = float(np.prod(high - low + 2 * radius_um))
        self._side = side = max(radius_um / _BINS_A_RADIUS, math.sqrt(area / _MOST_BINS))
        self._reach = reach = int(radius_um / side)
        first = np.floor(low / side).astype(np.int64) - reach
        self._origin = first * side
        column, row = np.floor(centers_um / side).astype(np.int64).T - first[:, None]
        self._columns, self._rows = int(column.max()) + 1 + reach, int(row.max()) + 1 + reach
        flat = row * self._columns + column
        order = np.argsort(flat, kind="stable")
        self._centers, self._positive = centers_um[order], positive[order]
        cells = np.bincount(flat, minlength=self._rows * self._columns)
        hot = np.bincount(flat[positive], minlength=self._rows * self._columns)
        self._starts = np.concatenate([[0], np.cumsum(cells)])
        counts = cells.reshape(self._rows, self._columns)
        self._n = self._in_discs(counts)
        self._hot = self._in_discs(hot.reshape(counts.shape))
        self._among_cells = maximum_filter(counts > 0, size=3, mode="constant")

    def _half_width(self, dy: int) -> int:
        """Squares to either side whose centre lies in the disc, `dy` rows from its centre."""
        return math.isqrt(max(0, int((self._radius_um / self._side) ** 2 - dy**2)))

    def _in_discs(self, counts: Counts) -> Counts:
        """Sum over the disc around each square, (rows, columns), from running sums of rows."""
        reach = self._reach
        total = np.zeros_like(counts)
        running = np.zeros((self._rows, self._columns + 2 * reach + 1), counts.dtype)
        running[:, reach + 1 :][:, : self._columns] = np.cumsum(counts, axis=1)
        running[:, reach + 1 + self._columns :] = running[:, [reach + self._columns]]
        for dy in range(-reach, reach + 1):
            w = self._half_width(dy)
            above = running[:, reach + 1 + w :][:, : self._columns]
            below = running[:, reach - w :][:, : self._columns]
            into = slice(max(0, -dy), self._rows - max(0, dy))
            of = slice(max(0, dy), self._rows - max(0, -dy))
            total[into] += above[of]
            total[into] -= below[of]
        return total

    def _center(self, place: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """(m, 2), (x, y) in µm of squares given by their number."""
        column_row = np.stack([place % self._columns, place // self._columns], axis=1)
        return self._origin + (column_row + 0.5) * self._side

    def most_promising(
        self, least_cells: int, by: str, within: Region | None
    ) -> npt.NDArray[np.int64]:
        """Numbers of squares, the hottest first by counts in squares, that may hold enough."""
        n, hot = self._n.ravel(), self._hot.ravel()
        place = np.flatnonzero((n >= _UNCERTAIN * least_cells) & self._among_cells.ravel())
        if within is not None and len(place):
            place = place[within.contains(self._center(place))]
        heat = hot[place] / n[place] if by == BY_PERCENT else hot[place].astype(np.float64)
        # Those that hold too few by squares come last: most of them do hold too few.
        enough = n[place] >= least_cells
        if len(place) > _MOST_TRIED:
            rank = np.where(enough, heat, heat - 2 * float(heat.max(initial=0)) - 1)
            at_least = np.partition(rank, -_MOST_TRIED)[-_MOST_TRIED]
            kept = rank >= at_least
            place, heat, enough = place[kept], heat[kept], enough[kept]
        order = np.lexsort((place, -n[place], -heat, ~enough))
        return place[order[:_MOST_TRIED]]

    def ranked(
        self, tried: npt.NDArray[np.int64], least_cells: int, by: str
    ) -> list[tuple[float, float]]:
        """Centres (x, y) in µm of the places that do hold enough, by their cells, hottest first.

        Places are counted until some hold enough: later ones are cooler but for the difference
        between squares and a circle.
        """
        for start in range(0, len(tried), _TRIED_AT_ONCE):
            some = tried[start : start + _TRIED_AT_ONCE]
            found = []
            for place, (x_um, y_um) in zip(some.tolist(), self._center(some).tolist(), strict=True):
                n, hot = self._counted(place, x_um, y_um)
                if n >= least_cells:
                    heat = hot / n if by == BY_PERCENT else float(hot)
                    found.append((-heat, -n, place, x_um, y_um))
            if found:
                return [(x_um, y_um) for *_, x_um, y_um in sorted(found)]
        return []

    def _counted(self, place: int, x_um: float, y_um: float) -> tuple[int, int]:
        """Cells within the radius, and the positive ones among them."""
        index = self._near(place)
        away = self._centers[index] - (x_um, y_um)
        within = (away * away).sum(axis=1) <= self._radius_um**2
        return int(within.sum()), int((within & self._positive[index]).sum())

    def _near(self, place: int) -> Counts:
        """Indices of the cells whose square the circle may touch."""
        row, column = divmod(place, self._columns)
        reach = self._reach + 1
        left, right = max(0, column - reach), min(self._columns, column + reach + 1)
        rows = np.arange(max(0, row - reach), min(self._rows, row + reach + 1)) * self._columns
        spans = zip(self._starts[rows + left], self._starts[rows + right], strict=True)
        return np.concatenate([np.arange(start, stop) for start, stop in spans])

    def inside(self, region: Region) -> tuple[int, int]:
        """Cells in a region, and the positive ones among them."""
        within = region.contains(self._centers)
        return int(within.sum()), int(self._positive[within].sum())

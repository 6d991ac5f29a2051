"""Where positive cells lie dense, and where their part is highest. Knows no viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter

from napari_past.stain import (
    DensityMap,
    HotSpot,
    ScoreRules,
    classes,
    count_cells,
    density_map,
    hot_spot,
)
from napari_past.stain.hot_spot import HOT_SPOT_MM2
from napari_past.types import Cutoffs, Region

NEAR_UM = 25.0
"""No density is shown farther than this from any counted cell."""
POSITIVE, ALL = "positive cells", "all counted cells"


@dataclass(frozen=True)
class DensityRequest:
    """What is to be found, among which cells; two equal ones have the same answer."""

    gene: str
    model: str
    cutoffs: Cutoffs | None
    """Without cut-offs no cell is positive or negative."""
    rules: ScoreRules
    of: str
    """`POSITIVE` or `ALL` for a map; empty for none."""
    hot_spots: bool
    regions: tuple[Region, ...]
    cells: int

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for that these cells can have."""
        return not self.cells or (not self._map_wanted and not self._spots_wanted)

    @property
    def _map_wanted(self) -> bool:
        return self.of == ALL or (self.of == POSITIVE and self.cutoffs is not None)

    @property
    def _spots_wanted(self) -> bool:
        return self.hot_spots and self.cutoffs is not None


@dataclass(frozen=True)
class Densities:
    """What was found."""

    request: DensityRequest
    map: DensityMap | None
    """None where none was asked for, or no cell of the kind is there."""
    spots: tuple[HotSpot, ...]
    """The hottest place of each region, or of the slide; the highest percentage first."""
    without_spot: tuple[str, ...]
    """Regions of which no circle holds enough cells."""

    @property
    def map_line(self) -> str:
        """What the map shows, one sentence."""
        if self.map is None:
            return ""
        highest = float(self.map.per_mm2.max())
        return (
            f"{self.request.of[0].upper()}{self.request.of[1:]} per mm², up to {highest:,.0f}; "
            f"{self.map.kernel}."
        )

    @property
    def spot_lines(self) -> tuple[str, ...]:
        """A sentence for each place, and for each region without one."""
        least = self.request.rules.least_in_hot_spot
        found = [f"{spot.region.name}: {spot.sentence}." for spot in self.spots]
        none = [
            f"{name}: no circle of {HOT_SPOT_MM2:g} mm² holds {least} cells with a class."
            for name in self.without_spot
        ]
        return (*found, *none)


def find_densities(
    request: DensityRequest,
    values: npt.NDArray[np.floating],
    centers_um: npt.NDArray[np.float64],
    unscored: npt.NDArray[np.bool_] | None,
) -> Densities:
    """Density and hot spots of the cells that the scores count.

    Parameters
    ----------
    request
        What is asked for.
    values
        (n,), of the marker; NaN has no class.
    centers_um
        (n, 2), (x, y) in µm.
    unscored
        (n,), cells that lie where nothing is scored; None where nobody looked.
    """
    counted = count_cells(centers_um, request.regions, unscored=unscored)
    found = np.full(len(values), -1, np.int8)
    if request.cutoffs is not None:
        found = classes(values, request.cutoffs)
    drawn = None
    if request.of:
        chosen = counted.index if request.of == ALL else counted.index[found[counted.index] > 0]
        drawn = (
            _on_cells(density_map(centers_um[chosen]), centers_um[counted.index])
            if len(chosen)
            else None
        )
    spots: list[HotSpot] = []
    without: list[str] = []
    for row in counted.rows if request.hot_spots and request.cutoffs is not None else ():
        spot = hot_spot(
            found[row.index],
            centers_um[row.index],
            least_cells=request.rules.least_in_hot_spot,
            within=row.shape,
        )
        if spot is None:
            without.append(row.region)
        else:
            spots.append(spot)
    return Densities(request, drawn, _hottest_first(spots), tuple(without))


def _on_cells(drawn: DensityMap, counted_um: npt.NDArray[np.float64]) -> DensityMap:
    """The map with nothing where no counted cell lies near: its blur reaches onto the glass."""
    grid, (rows, columns) = drawn.grid, drawn.per_mm2.shape
    column = np.floor((counted_um[:, 0] - grid.x0_um) / grid.mpp).astype(np.int64)
    row = np.floor((counted_um[:, 1] - grid.y0_um) / grid.mpp).astype(np.int64)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    occupied = np.zeros((rows, columns), np.bool_)
    occupied[row[inside], column[inside]] = True
    reach = max(1, round(NEAR_UM / grid.mpp))
    near = maximum_filter(occupied, size=2 * reach + 1, mode="constant")
    return replace(drawn, per_mm2=np.where(near, drawn.per_mm2, np.float32(0)))


def _hottest_first(spots: Sequence[HotSpot]) -> tuple[HotSpot, ...]:
    return tuple(sorted(spots, key=lambda spot: -spot.pct_positive))

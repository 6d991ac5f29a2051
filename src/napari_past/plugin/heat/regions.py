"""The places of a heat map that hold most of it. Knows no viewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.io.heat_map import HeatChannel, HeatMap
from napari_past.types import Rect

SIDE_UM = 256.0
"""About a field of view at 40x: large enough to see what the tissue is."""
MOST = 5


@dataclass(frozen=True)
class HeatRegion:
    """A square field, and what lies in it."""

    rect: Rect
    value: float
    """Sum of the channel, in its unit."""
    cells_share: float
    """Of all instances on the slide, 0 to 1: what the field would hold were all alike."""


def top_regions(
    found: HeatMap, channel: HeatChannel, side_um: float = SIDE_UM, most: int = MOST
) -> tuple[HeatRegion, ...]:
    """Fields that do not overlap, those with the largest sum first, whatever its sign.

    Each is the best one beside those before it, so together they need not be the best choice.

    Parameters
    ----------
    found
        The map.
    channel
        One of its channels.
    side_um
        Of a field, rounded to whole squares of the map.
    most
        How many at the most; fewer where the rest of the map holds nothing.
    """
    side = max(1, round(side_um / found.grid.mpp))
    height, width = (min(side, size) for size in found.cells.shape)
    sums = _sums(np.nan_to_num(channel.values), height, width)
    cells = _sums(found.cells, height, width) / max(float(found.cells.sum()), 1.0)
    strength, chosen = np.abs(sums), list[HeatRegion]()
    strength[cells == 0] = 0  # rounding leaves a little where nothing is
    mpp = found.grid.mpp
    while len(chosen) < most:
        row, column = np.unravel_index(int(strength.argmax()), strength.shape)
        if strength[row, column] <= 0:
            break
        rect = Rect(float(column * mpp), float(row * mpp), width * mpp, height * mpp)
        chosen.append(HeatRegion(rect, float(sums[row, column]), float(cells[row, column])))
        strength[
            max(0, row - height + 1) : row + height, max(0, column - width + 1) : column + width
        ] = 0
    return tuple(chosen)


def _sums(values: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float64]:
    """The sum over each window of height x width squares that lies on the map."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    table[1:, 1:] = values.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    rows = table[height:] - table[:-height]
    return np.asarray(rows[:, width:] - rows[:, :-width])

"""How many cells lie where: a map in cells per mm²."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_past.types import PixelGrid, Rect

SIGMA_UM = 100.0
_BINS_A_SIGMA = 4
_MOST_BINS = 16_000_000
_TRUNCATE = 4.0


@dataclass(frozen=True)
class DensityMap:
    """Cells per mm² on a grid."""

    per_mm2: npt.NDArray[np.float32]
    """(rows, columns)."""
    grid: PixelGrid
    """Where the map lies; `mpp` is the side of a square."""
    sigma_um: float
    cells: int
    """Cells that were counted."""

    @property
    def kernel(self) -> str:
        """What the density is a mean over, to be told with the map."""
        return f"Gaussian kernel, σ {self.sigma_um:g} µm, on squares of {self.grid.mpp:g} µm"


def density_map(
    centers_um: npt.ArrayLike,
    chosen: npt.ArrayLike | None = None,
    *,
    sigma_um: float = SIGMA_UM,
    area: Rect | None = None,
) -> DensityMap:
    """Density of the chosen cells: counts in squares, smoothed with a Gaussian.

    Squares have a quarter of σ (more on huge areas) and lie on a grid from the slide's origin. The
    kernel is cut at 4 σ. Nothing is made up for what lies beyond the tissue: the density falls off
    at its edge.

    Parameters
    ----------
    centers_um
        (n, 2), (x, y) in µm, finite.
    chosen
        (n,) bool, the cells that count, such as those of class 1+ or higher; all if None.
    sigma_um
        Standard deviation of the kernel.
    area
        That the map covers, widened to whole squares; what the cells cover and 4 σ around, if None.

    Raises
    ------
    ValueError
        Shapes that do not fit, a σ that is not positive, or neither cells nor an area.
    """
    centers = np.asarray(centers_um, np.float64)
    counted = np.ones(len(centers), np.bool_) if chosen is None else np.asarray(chosen)
    if centers.ndim != 2 or centers.shape[1] != 2 or counted.shape != (len(centers),):
        raise ValueError(
            f"A density needs centres (n, 2) and which of them count (n,), but got "
            f"{centers.shape} and {counted.shape}."
        )
    if not sigma_um > 0:
        raise ValueError(f"A kernel needs a positive σ, but got {sigma_um} µm.")
    centers = centers[counted.astype(np.bool_)]
    if area is None and not len(centers):
        raise ValueError("A density of no cells needs an area.")
    if area is None:
        around_um = _TRUNCATE * sigma_um
        low, high = centers.min(axis=0) - around_um, centers.max(axis=0) + around_um
    else:
        low, high = np.array([area.x_um, area.y_um]), np.array([area.x1_um, area.y1_um])
    side = max(sigma_um / _BINS_A_SIGMA, math.sqrt(float(np.prod(high - low)) / _MOST_BINS))
    first = np.floor(low / side).astype(np.int64)
    columns, rows = np.ceil(high / side).astype(np.int64) - first
    column, row = np.floor(centers / side).astype(np.int64).T - first[:, None]
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    flat = row[inside] * columns + column[inside]
    counts = np.bincount(flat, minlength=int(rows * columns)).reshape(rows, columns)
    smooth = gaussian_filter(
        counts.astype(np.float32), sigma_um / side, mode="constant", truncate=_TRUNCATE
    )
    x0_um, y0_um = (first * side).tolist()
    grid = PixelGrid(x0_um, y0_um, side)
    return DensityMap(smooth * np.float32(1e6 / side**2), grid, sigma_um, int(inside.sum()))

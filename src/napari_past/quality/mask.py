"""What must not be scored, as a label image with a physical size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.types import FloatArray

UNSCORED_KINDS = ("glass", "blur", "pen", "fold", "bubble", "other")
"""Why a place is not scored: label k of a mask means ``UNSCORED_KINDS[k - 1]``, 0 is scored.

Labels are written to files: new kinds go to the end."""


@dataclass(frozen=True)
class QualityMask:
    """Where a slide must not be scored, and why."""

    labels: npt.NDArray[np.uint8]
    """(h, w); 0 is scored, k stands for ``UNSCORED_KINDS[k - 1]``. Pixel (r, c) covers
    [c·mpp, (c + 1)·mpp) x [r·mpp, (r + 1)·mpp) µm of slide space."""
    mpp: float
    """µm/px of the mask."""
    source: str
    """One line: method and version, "edited", or a file's name."""

    def __post_init__(self) -> None:
        if self.labels.ndim != 2 or self.labels.dtype != np.uint8:
            raise ValueError(
                f"A mask is uint8 (h, w), but got {self.labels.dtype} {self.labels.shape}."
            )
        if self.labels.max(initial=0) > len(UNSCORED_KINDS):
            raise ValueError(
                f"A mask has labels 0 to {len(UNSCORED_KINDS)}, but got {self.labels.max()}."
            )
        if not (np.isfinite(self.mpp) and self.mpp > 0):
            raise ValueError(f"A mask needs a positive number of µm/px, but got {self.mpp}.")

    def kind_at(self, centers_um: FloatArray) -> npt.NDArray[np.uint8]:
        """The label at each point (n, 2), (x, y) in µm; shape (n,), 0 outside of the mask."""
        cells = np.floor(np.asarray(centers_um, np.float64).reshape(-1, 2) / self.mpp)
        height, width = self.labels.shape
        x, y = cells[:, 0], cells[:, 1]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        found = np.zeros(len(cells), np.uint8)
        found[inside] = self.labels[y[inside].astype(np.intp), x[inside].astype(np.intp)]
        return found

    def area_within(self, polygon_um: shapely.Geometry) -> float:
        """Area in mm² inside of a polygon, in pixels by their centres.

        Parameters
        ----------
        polygon_um
            A polygon or several, (x, y) in µm of slide space; empty holds nothing.
        """
        if polygon_um.is_empty:
            return 0.0
        x0, y0, x1, y1 = (edge / self.mpp for edge in polygon_um.bounds)
        top, left = max(math.floor(y0), 0), max(math.floor(x0), 0)
        near = self.labels[top : max(math.ceil(y1), 0), left : max(math.ceil(x1), 0)]
        row, column = np.nonzero(near)
        x_um, y_um = (column + left + 0.5) * self.mpp, (row + top + 0.5) * self.mpp
        shapely.prepare(polygon_um)
        inside = shapely.contains_xy(polygon_um, x_um, y_um)
        return float(inside.sum() * self.mpp**2 / 1e6)

    def area_mm2(self) -> dict[str, float]:
        """Area of every kind in mm², in the order of `UNSCORED_KINDS`; 0 where there is none."""
        counts = np.bincount(self.labels.ravel(), minlength=len(UNSCORED_KINDS) + 1)[1:]
        px_mm2 = self.mpp**2 / 1e6
        return {k: float(n * px_mm2) for k, n in zip(UNSCORED_KINDS, counts, strict=True)}

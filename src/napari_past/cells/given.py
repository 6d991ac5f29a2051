"""Cells that are known already, through the same door as a detector's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from napari_past.slide import Slide
from napari_past.types import FoundCells, PixelGrid, Rect, Rgb


@dataclass(frozen=True)
class GivenCells:
    """A detector that finds the cells it was given, whatever the pixels."""

    cells: FoundCells
    digest: str = field(default="")
    """Of all the cells it was made from; narrowing keeps it."""
    name: str = "given"
    mpp: float = 1.0
    halo_um: float = 0.0

    def __post_init__(self) -> None:
        if not self.digest:
            digest = hashlib.sha256(np.ascontiguousarray(self.cells.centers_um).tobytes())
            digest.update(self.cells.outlines.vertices_um.tobytes())
            object.__setattr__(self, "digest", digest.hexdigest())

    def identity(self) -> str:
        return f"{self.name} {self.digest}"

    def fitted(self, slide: Slide) -> GivenCells:
        """Itself: nothing of the slide matters."""
        return self

    def narrowed(self, rect: Rect) -> GivenCells:
        """The cells whose centre lies in `rect`, so that a worker is sent no others."""
        inside = self.cells.take(rect.contains(self.cells.centers_um))
        return GivenCells(inside, self.digest)

    def find(self, rgb: Rgb, grid: PixelGrid) -> FoundCells:
        height_px, width_px = rgb.shape[:2]
        block = Rect(grid.x0_um, grid.y0_um, width_px * grid.mpp, height_px * grid.mpp)
        return self.cells.take(block.contains(self.cells.centers_um))

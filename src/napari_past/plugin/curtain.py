"""Where one picture ends and the other begins, drawn into the pixels of the upper one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import PixelGrid

Rgba = npt.NDArray[np.uint8]
"""Pixels (Y, X, 4), uint8."""

LINE_PX, EDGE_PX = 1.5, 2.5
"""Half widths of the light line and of its dark edge, in pixels of the canvas."""
GRIP_PX = (22.0, 7.0)
"""Half height and half width of the handle."""
LIGHT, DARK = 250, 45


@dataclass(frozen=True)
class Curtain:
    """A vertical divider in the world: left of it the upper picture is clear."""

    x_um: float
    grip_um: float
    """y of the middle of its handle."""
    canvas_mpp: float
    """µm to a pixel of the canvas."""

    def draw(self, rgba: Rgba, grid: PixelGrid) -> None:
        """Clear a picture's left part in place and draw the divider."""
        rgba[:, : self._pixels(self.x_um, grid.x0_um, grid, rgba.shape[1]), 3] = 0
        self._bar(rgba, grid, EDGE_PX, None, DARK)
        self._bar(rgba, grid, GRIP_PX[1] + 1, GRIP_PX[0] + 1, DARK)
        self._bar(rgba, grid, GRIP_PX[1], GRIP_PX[0], LIGHT)
        self._bar(rgba, grid, LINE_PX, None, LIGHT)
        for offset_px in (-3.0, 3.0):
            self._bar(rgba, grid, 0.8, GRIP_PX[0] - 10, DARK, offset_px)

    def _bar(
        self,
        rgba: Rgba,
        grid: PixelGrid,
        half_width_px: float,
        half_height_px: float | None,
        grey: int,
        offset_px: float = 0.0,
    ) -> None:
        height, width = rgba.shape[:2]
        x_um, dx = self.x_um + offset_px * self.canvas_mpp, half_width_px * self.canvas_mpp
        columns = slice(
            self._pixels(x_um - dx, grid.x0_um, grid, width),
            self._pixels(x_um + dx, grid.x0_um, grid, width),
        )
        rows = slice(None)
        if half_height_px is not None:
            dy = half_height_px * self.canvas_mpp
            rows = slice(
                self._pixels(self.grip_um - dy, grid.y0_um, grid, height),
                self._pixels(self.grip_um + dy, grid.y0_um, grid, height),
            )
        rgba[rows, columns, :3] = grey
        rgba[rows, columns, 3] = 255

    @staticmethod
    def _pixels(at_um: float, start_um: float, grid: PixelGrid, most: int) -> int:
        return int(np.clip(round((at_um - start_um) / grid.mpp), 0, most))

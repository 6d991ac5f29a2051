"""The picture of a section, and patches out of it."""

from __future__ import annotations

import numpy as np

from napari_past.slide import Slide
from napari_past.types import Rgb
from past_training.dataset.placement import IntArray, blocks

MOST_PX = 8e6
"""Pixels read at once: 24 MB."""


def patches_at(slide: Slide, corner_px: IntArray, side_px: int, mpp: float) -> Rgb:
    """Patches with their first pixels at `corner_px` (n, 2) of the global grid at `mpp`.

    Returns
    -------
    uint8 (n, side, side, 3); beyond the slide lies its background.

    Raises
    ------
    DamagedSlide
        Pixels cannot be decoded.
    """
    patches = np.empty((len(corner_px), side_px, side_px, 3), np.uint8)
    for run in blocks(corner_px, corner_px + side_px, MOST_PX, spread=2.0):
        corners = corner_px[run]
        low = corners.min(axis=0)
        width_px, height_px = (corners.max(axis=0) - low + side_px).tolist()
        block = slide.read_grid(int(low[0]), int(low[1]), width_px, height_px, mpp)
        for patch, (column, row) in zip(patches[run], (corners - low).tolist(), strict=True):
            patch[:] = block[row : row + side_px, column : column + side_px]
    return patches

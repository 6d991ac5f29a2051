"""The picture of a section, and patches out of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_past.slide import Slide
from napari_past.types import Rgb
from past_training.dataset.checksums import file_sha256
from past_training.dataset.placement import IntArray, blocks
from past_training.sources.picture import FLAT_SUFFIXES

MOST_PX = 8e6
"""Pixels read at once: 24 MB."""


def picture_fingerprint(path: Path, slide: Slide) -> str:
    """64 hex digits that depend on the picture's content alone.

    A slide has its own; a plain picture, which is a slide in memory only, has its file's SHA-256.
    """
    flat = path.suffix.lower() in FLAT_SUFFIXES
    return file_sha256(path) if flat else slide.fingerprint


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

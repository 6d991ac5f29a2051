"""Pixels from all over a slide's tissue, from which its colours are estimated."""

from __future__ import annotations

from contextlib import suppress
from weakref import WeakKeyDictionary

import numpy as np

from napari_past.errors import DamagedSlide
from napari_past.slide import Slide
from napari_past.types import Rgb

BLOCKS = 12
BLOCK_PX = 384
_known: WeakKeyDictionary[Slide, dict[tuple[float, bool], Rgb]] = WeakKeyDictionary()
"""A detector, a stain and the look of a slide ask for the same one, one after the other."""


def tissue_sample(slide: Slide, mpp: float, faint: bool = False) -> Rgb:
    """Blocks of tissue, concatenated: (n, 384, 3). Evenly spread, the same for the same slide.

    Blocks that cannot be decoded are passed over; their tiles will say so.

    Parameters
    ----------
    faint
        As `Slide.tissue_mask` has it.
    """
    samples = _known.setdefault(slide, {})
    if (mpp, faint) not in samples:
        samples[mpp, faint] = _sampled(slide, mpp, faint)
        samples[mpp, faint].flags.writeable = False
    return samples[mpp, faint]


def _sampled(slide: Slide, mpp: float, faint: bool) -> Rgb:
    mask = slide.tissue_mask(faint)
    rows, columns = np.nonzero(mask.mask)
    nothing = np.zeros((0, BLOCK_PX, 3), np.uint8)
    if len(rows) == 0:
        return nothing
    chosen = np.linspace(0, len(rows) - 1, BLOCKS + 2).astype(int)[1:-1]
    blocks = []
    for row, column in zip(rows[chosen], columns[chosen], strict=True):
        x_px = round((column + 0.5) * mask.mpp / mpp) - BLOCK_PX // 2
        y_px = round((row + 0.5) * mask.mpp / mpp) - BLOCK_PX // 2
        with suppress(DamagedSlide):
            blocks.append(slide.read_grid(x_px, y_px, BLOCK_PX, BLOCK_PX, mpp))
    return np.concatenate([nothing, *blocks])

"""What must not be scored, found by classical image analysis: no weights, no download."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from napari_past.quality.blur import blurred
from napari_past.quality.bubble import bubbles
from napari_past.quality.features import survey
from napari_past.quality.fold import folded
from napari_past.quality.mask import UNSCORED_KINDS, QualityMask
from napari_past.quality.pen import inked
from napari_past.slide import Slide

METHOD = "found by napari-past, method 1 (glass, blur, pen, fold, bubble)"
"""Changes whenever a mask of the same slide would."""
FAINTEST_STAIN = 0.05
"""Density (see `Features.density`) from which on a place outside of the tissue mask is no glass."""


def find_unscored(
    slide: Slide,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> QualityMask:
    """Where a slide must not be scored: empty glass, blur, marker ink, folds and bubbles.

    Made to leave good tissue alone: what is not clearly one of these is scored. The slide is
    read once, block by block, at 2 µm/px where there is tissue; see the modules of this room for
    each kind and its source.

    Parameters
    ----------
    slide
        With a µm/px. Where that is coarser than 2, blur cannot be told and is not looked for.
    on_progress
        Told (done, total) blocks; called before the first and after the last one too.
    cancelled
        Asked before each block.

    Returns
    -------
    QualityMask
        On the grid of ``slide.tissue_mask()``: 8 µm/px, or the slide's own where that is coarser.

    Raises
    ------
    MissingPixelSize
        The slide has no µm/px.
    Cancelled
    """
    tissue = slide.tissue_mask()
    features = survey(slide, tissue, on_progress, cancelled)
    labels = np.zeros(tissue.mask.shape, np.uint8)
    # Fat is all but glass to a tissue mask, and a nucleus at an edge may lie beyond it: only what
    # holds no stain, nor borders on some, is glass.
    stained = tissue.mask | (features.density >= FAINTEST_STAIN)
    labels[~ndimage.binary_dilation(stained, np.ones((3, 3)))] = _label("glass")
    pen = inked(features, tissue.mask, tissue.mpp)
    rest = tissue.mask & ~pen
    labels[blurred(features, rest, tissue.mpp)] = _label("blur")
    labels[bubbles(features, rest, tissue.mpp)] = _label("bubble")
    labels[folded(features, rest, tissue.mpp)] = _label("fold")
    labels[pen] = _label("pen")
    return QualityMask(labels, tissue.mpp, METHOD)


def _label(kind: str) -> int:
    return UNSCORED_KINDS.index(kind) + 1

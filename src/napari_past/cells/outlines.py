"""Polygons around the labels of a label image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import find_contours

MAX_VERTICES = 32
_MARGIN_PX = 3
_SMOOTHING_PX = 0.8


def label_outlines(
    labels: npt.NDArray[np.integer], chosen: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Outline of each chosen label, smoothed over about a pixel.

    Parameters
    ----------
    labels
        (Y, X), 0 is background.
    chosen
        (n,) labels that are present.

    Returns
    -------
    vertices_px : (v, 2) float64
        (y, x) with pixel centres at integers; at most 32 vertices for each label.
    offsets : (n + 1,) int64
        Label i of `chosen` owns ``vertices_px[offsets[i]:offsets[i + 1]]``.
    """
    boxes = ndimage.find_objects(labels)
    parts = [_outline(labels, int(label), boxes[int(label) - 1]) for label in chosen]
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
    vertices = np.concatenate(parts) if parts else np.zeros((0, 2))
    return vertices, offsets


def _outline(
    labels: npt.NDArray[np.integer], label: int, box: tuple[slice, slice]
) -> npt.NDArray[np.float64]:
    padded = np.pad((labels[box] == label).astype(np.float32), _MARGIN_PX)
    # Half height of the smoothed mask follows the nucleus instead of the pixels' stairs.
    smooth = ndimage.gaussian_filter(padded, _SMOOTHING_PX, truncate=3.0)
    contours = find_contours(smooth, 0.5) or find_contours(padded, 0.5)
    ring = max(contours, key=len)[:-1]
    if len(ring) > MAX_VERTICES:
        ring = ring[np.linspace(0, len(ring), MAX_VERTICES, endpoint=False).astype(int)]
    return np.asarray(ring) + (box[0].start - _MARGIN_PX, box[1].start - _MARGIN_PX)

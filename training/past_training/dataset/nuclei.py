"""Which nuclei contribute to which rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import cKDTree

from napari_past.cells import Detector, cells_in, get_detector
from napari_past.slide import Slide
from napari_past.spatial.membership import assigned, nucleus_places_um
from napari_past.spatial.section import MeasuredSection
from napari_past.types import Rect
from past_training.dataset.placement import FloatArray, IntArray, blocks

MOST_UM2 = 512.0**2
"""Area searched at once; a detector holds some 50 bytes for each of its pixels."""

Found = tuple[FloatArray, IntArray]
"""Centres (n, 2) in µm, and the row (n,) of each: ascending."""

RowNuclei = Callable[[int, int], Found]
"""The nuclei of a range of stored rows."""


def row_nuclei(
    section: MeasuredSection, row_um: FloatArray, row_order: IntArray, slide: Slide, detector: str
) -> RowNuclei:
    """Who finds the nuclei of a section's rows.

    A cell has its one nucleus. A spot has the nuclei whose centre lies within it and in no nearer
    spot: those of the source, else those that the detector finds, with the stain vectors of the
    whole slide, so that they are the nuclei that a run over the slide would find.

    Parameters
    ----------
    row_um
        (r, 2) centres of the rows in the order in which they are stored.
    row_order
        (r,) rows of the source in that order.
    """
    if section.spot_diameter_um is None:
        places = nucleus_places_um(section)[row_order]
        return lambda a, b: (places[a:b], np.arange(a, b, dtype=np.int64))
    radius_um = section.spot_diameter_um / 2
    spots = cKDTree(row_um)
    if section.nuclei_um is not None:
        centers, rows = assigned(section.nuclei_um, spots, radius_um)

        def given(first: int, stop: int) -> Found:
            a, b = np.searchsorted(rows, [first, stop])
            return centers[a:b], rows[a:b]

        return given
    fitted: Detector = get_detector(detector).fitted(slide)

    def found(first: int, stop: int) -> Found:
        low, high = row_um[first:stop] - radius_um, row_um[first:stop] + radius_um
        halo_um = fitted.halo_um
        parts: list[Found] = [(np.zeros((0, 2)), np.zeros(0, np.int64))]
        # Searching is the slow part, and its halo counts: neighbouring spots have their own.
        for run in blocks(low - halo_um, high + halo_um, MOST_UM2, spread=1.05):
            x0_um, y0_um = low[run].min(axis=0)
            x1_um, y1_um = high[run].max(axis=0)
            rect = Rect(x0_um, y0_um, x1_um - x0_um, y1_um - y0_um)
            centers, rows = assigned(cells_in(slide, rect, fitted).centers_um, spots, radius_um)
            mine = (rows >= first + run.start) & (rows < first + run.stop)
            parts.append((centers[mine], rows[mine]))
        # Runs are ascending in rows, and so is what each of them gave.
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    return found

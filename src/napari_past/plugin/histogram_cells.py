"""Which cells a histogram holds: of those that count, the ones in view, in regions, or all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.stain import CountedCells

IN_VIEW, IN_REGIONS, ON_SLIDE = "in view", "in regions", "on the slide"
CHOICES = (IN_VIEW, IN_REGIONS, ON_SLIDE)


@dataclass(frozen=True)
class HistogramCells:
    """Some cells, and what they are."""

    index: npt.NDArray[np.intp]
    where: str
    """One of `CHOICES`: where they are, whatever was asked for."""
    why: str
    """Why they are not where was asked for; empty where they are."""


def histogram_cells(
    asked: str, counted: CountedCells, in_view: npt.NDArray[np.intp]
) -> HistogramCells:
    """The cells that are asked for, without those that no score counts.

    Where there are none, because no region is drawn or the view shows none, they are those on the
    whole slide.

    Parameters
    ----------
    asked
        One of `CHOICES`.
    counted
        Whose last row is the whole slide.
    in_view
        Cells in view, ascending, counted or not.
    """
    slide = counted.rows[-1]
    if asked == IN_VIEW:
        counts = np.zeros(len(counted.centers_um), np.bool_)
        counts[slide.index] = True
        known = in_view[: np.searchsorted(in_view, len(counts))]
        index, why = known[counts[known]], "none in view"
    elif asked == IN_REGIONS:
        of_regions = [row.index for row in counted.rows if row.shape is not None]
        index = np.unique(np.concatenate([np.zeros(0, np.intp), *of_regions]))
        why = "none in regions" if of_regions else "no region is drawn"
    else:
        return HistogramCells(slide.index, ON_SLIDE, "")
    if len(index):
        return HistogramCells(index, asked, "")
    return HistogramCells(slide.index, ON_SLIDE, why)

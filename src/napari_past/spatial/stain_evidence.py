"""What the H&E itself says about where cells and spots are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from napari_past.cells.stains import estimate_stains, hematoxylin_od
from napari_past.slide import Slide
from napari_past.spatial.section import Points
from napari_past.types import Rgb

WINDOW_UM = 28.0
FINEST_MPP = 1.0
"""Nuclei are wider than a pixel of this size; finer reads say no more."""
NUCLEUS_UM = 2.5
"""Radius within which a nucleus' own stain is expected."""
BESIDE_UM = (7.0, 12.0)
"""Ring in which cytoplasm, matrix and other nuclei mix."""
SPOT_WINDOW_UM, SPOT_MPP = 80.0, 4.0
"""What is looked at of a spot, and how closely."""
MOST_ROWS = 400
"""Looked at; spread evenly over all."""


@dataclass(frozen=True)
class Contrast:
    """How much more haematoxylin lies under points than beside them, in optical density."""

    mean: float
    error: float
    """Standard error of the mean."""

    @property
    def is_clear(self) -> bool:
        """Whether the points lie on nuclei beyond doubt."""
        return self.mean > 4 * self.error

    def exceeds(self, other: Contrast) -> bool:
        """Whether the difference is beyond doubt."""
        return self.mean - other.mean > 4 * float(np.hypot(self.error, other.error))


def contrasts(slide: Slide, *candidates: Points) -> tuple[Contrast, ...]:
    """The contrast under each of several sets of points (n, 2), µm of slide space.

    The local difference is compared, not the amount, so that points which merely lie in denser
    tissue gain nothing. All sets are seen through the same stain vectors. Points outside of the
    slide count as on glass: no contrast.
    """
    mpp = max(FINEST_MPP, slide.require_mpp())
    side_px = max(3, round(WINDOW_UM / mpp))
    windows = [
        windows_around(slide, points[sampled(len(points))], side_px, mpp) for points in candidates
    ]
    profile = estimate_stains(np.concatenate(windows), slide.background)
    offset_um = (np.arange(side_px) + 0.5 - side_px / 2) * mpp
    away_um = np.hypot(offset_um[:, None], offset_um)
    under = away_um <= max(NUCLEUS_UM, 0.75 * mpp)
    beside = (away_um >= BESIDE_UM[0]) & (away_um <= BESIDE_UM[1])
    found = []
    for pixels in windows:
        amount = hematoxylin_od(pixels, profile)
        difference = amount[:, under].mean(axis=1) - amount[:, beside].mean(axis=1)
        error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
        found.append(Contrast(float(difference.mean()), error))
    return tuple(found)


def sampled(rows: int, most: int = MOST_ROWS) -> npt.NDArray[np.int64]:
    """Indices of at most `most` rows, evenly spread."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))


def counts_follow_stain(
    slide: Slide, totals: npt.NDArray[np.floating], *candidates: Points
) -> tuple[float, ...]:
    """Spearman correlation of spots' totals (n,) with their haematoxylin, for sets of places.

    Where there are more nuclei there is more RNA: 0.5 to 0.6 on the HER2-positive breast sections
    of Andersson et al. 2021, and 0.1 to 0.4 with x and y swapped.
    """
    chosen = sampled(len(totals))
    side_px = max(3, round(SPOT_WINDOW_UM / SPOT_MPP))
    mpp = max(SPOT_MPP, slide.require_mpp())
    windows = [windows_around(slide, points[chosen], side_px, mpp) for points in candidates]
    profile = estimate_stains(np.concatenate(windows), slide.background)
    amounts = [hematoxylin_od(pixels, profile).mean(axis=(1, 2)) for pixels in windows]
    found = [float(spearmanr(totals[chosen], amount).statistic) for amount in amounts]
    return tuple(0.0 if np.isnan(r) else r for r in found)


def share_on_tissue(slide: Slide, points: Points) -> float:
    """Share of points (n, 2), µm of slide space, that lie on tissue; none does outside of it."""
    on: npt.NDArray[np.bool_] = slide.tissue_mask().contains(points)
    return float(on.mean())


def windows_around(slide: Slide, points: Points, side_px: int, mpp: float) -> Rgb:
    """(n, side, side, 3) with points (n, 2) in their middle; of glass where one lies outside."""
    out = np.empty((len(points), side_px, side_px, 3), np.uint8)
    out[:] = slide.background
    inside = np.flatnonzero(slide.bounds.contains(points))
    width_um, height_um = slide.size_um
    if width_um * height_um <= len(inside) * (side_px * mpp) ** 2:
        # Windows overlap: the whole picture has fewer pixels. They lie off by half of one at most.
        whole = slide.read_region(0.0, 0.0, width_um, height_um, mpp)
        starts = np.rint(points / mpp - side_px / 2).astype(int)
        for i in inside:
            _lay(out[i], whole, *starts[i])
        return out
    size_um = side_px * mpp
    for i in inside:
        x, y = points[i] - size_um / 2
        out[i] = slide.read_region(x, y, size_um, size_um, mpp)
    return out


def _lay(window: Rgb, whole: Rgb, column: int, row: int) -> None:
    """Fills a window that begins at a pixel of the whole, as far as that reaches."""
    rows = slice(max(row, 0), max(row + window.shape[0], 0))
    columns = slice(max(column, 0), max(column + window.shape[1], 0))
    part = whole[rows, columns]
    top, left = rows.start - row, columns.start - column
    window[top : top + part.shape[0], left : left + part.shape[1]] = part

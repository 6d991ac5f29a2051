"""How far measured cells lie from the nuclei they belong to, as the haematoxylin tells.

Each cell's surroundings are looked at through one contrast: the haematoxylin within a nucleus'
radius of a place against that in a ring around it. Averaged over cells, as a function of how far
the place lies from the cell, it has one sharp maximum where the nuclei are. On real slides that
maximum stood 10 standard deviations and more above its surroundings with forty cells in place, 8 to
10 where 200 or 400 cells scattered by 3 µm, and no more than 4.9 where places had nothing to do
with cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

from napari_past.cells.stains import estimate_stains, hematoxylin_od
from napari_past.slide import Slide
from napari_past.spatial.membership import nucleus_places_um
from napari_past.spatial.section import MeasuredSection
from napari_past.spatial.stain_evidence import (
    BESIDE_UM,
    FINEST_MPP,
    NUCLEUS_UM,
    sampled,
    windows_around,
)

REACH_UM = 40.0
"""To each side; a shift beyond it is not found."""
LEAST_UM = 6.0
"""About a nucleus' diameter: cells' own centres lie as far from their nuclei."""
FEWEST_CELLS = 30
SCATTER_UM = 1.5
"""About how far a cell's measured centre lies from that of its nucleus on another picture."""
PEAK_DEVIATIONS = 6.0
"""By so many standard deviations of the contrast elsewhere must its maximum stand out."""
MOST_RUNNER_UP = 0.6
"""Of the maximum: where another place is as good, some cells lie off one way and some another."""
CLEAR_ERRORS = 4.0
"""By so many standard errors must it be higher there than where the cells are said to lie."""
HALVES_AGREE_UM = 4.0
"""Every other cell, and the rest, must tell the same shift to within this."""

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Offset:
    """How far rows lie from the nuclei that they belong to."""

    dx_um: float
    """To the right; moving the rows by (−dx_um, −dy_um) puts them on the nuclei."""
    dy_um: float
    """Down."""
    is_clear: bool
    """Whether they lie off beyond doubt. False: they lie on the nuclei, or near enough."""
    sentence: str


def found_offset(section: MeasuredSection, slide: Slide) -> Offset | None:
    """How far the cells of a section lie from the nuclei of its H&E; None where nothing tells it.

    Told of single cells alone, where at least 30 lie on a picture fine enough to show nuclei and
    are off by less than 40 µm to each side. Nothing is told of spots: where there are more nuclei
    there is more RNA, but both change so slowly over tissue that on the sections of Andersson et
    al. 2021 the best fit lay up to 110 µm from the true place, and half of the shifts by a whole
    pitch of 200 µm could not be told from none.

    Parameters
    ----------
    section
        In place on `slide`.
    slide
        Its H&E, with a µm/px. Up to 400 windows are read.
    """
    if section.spot_diameter_um is not None or len(section) < FEWEST_CELLS:
        return None
    places = nucleus_places_um(section)
    places = places[slide.bounds.contains(places)]
    if len(places) < FEWEST_CELLS:
        return None
    contrast, away_um = _contrasts(slide, places[sampled(len(places))])
    mean = _mean(contrast, away_um)
    dx_um, dy_um = _highest(mean, away_um)
    distance_um = np.hypot(away_um[:, None] - dy_um, away_um - dx_um)
    elsewhere = mean[distance_um > BESIDE_UM[1]]
    if mean.max() - elsewhere.mean() <= PEAK_DEVIATIONS * elsewhere.std():
        return None
    if elsewhere.max() > MOST_RUNNER_UP * mean.max():
        return None
    halves = [_highest(_mean(half, away_um), away_um) for half in (contrast[::2], contrast[1::2])]
    if any(np.hypot(x - dx_um, y - dy_um) > HALVES_AGREE_UM for x, y in halves):
        return None
    middle = len(away_um) // 2
    row, column = np.searchsorted(away_um, (dy_um, dx_um))
    there, here = contrast[:, row, column], contrast[:, middle, middle]
    gain = there - here
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    is_off = bool(np.hypot(dx_um, dy_um) >= LEAST_UM)
    if is_off and gain.mean() <= CLEAR_ERRORS * error:
        return None
    # Nuclei lie at +d of the cells, so the cells at −d of the nuclei.
    cells = (0.0 - dx_um, 0.0 - dy_um)
    sentence = _sentence(section.name, cells, is_off, float(there.mean()), float(here.mean()))
    return Offset(*cells, is_off, sentence)


def _contrasts(
    slide: Slide, places: npt.NDArray[np.float64]
) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """The contrast around each place.

    Returns
    -------
    contrast
        (n, k, k) float32, optical density; [i, row, column] at place i plus (column, row).
    away_um
        (k,) of rows and columns, ascending, 0 in the middle.
    """
    mpp = max(FINEST_MPP, slide.require_mpp())
    reach, edge = int(REACH_UM / mpp), int(np.ceil(BESIDE_UM[1] / mpp)) + 1
    half = reach + edge
    pixels = windows_around(slide, places, 2 * half + 1, mpp)
    amount = hematoxylin_od(pixels, estimate_stains(pixels, slide.background))
    offset_um = np.arange(-edge, edge + 1) * mpp
    around_um = np.hypot(offset_um[:, None], offset_um)
    under = around_um <= max(NUCLEUS_UM, 0.75 * mpp)
    beside = (around_um >= BESIDE_UM[0]) & (around_um <= BESIDE_UM[1])
    kernel = (under / under.sum() - beside / beside.sum()).astype(np.float32)
    contrast = fftconvolve(amount, kernel[None], mode="valid", axes=(1, 2))
    away_um = np.arange(-reach, reach + 1).astype(np.float64) * mpp
    return contrast.astype(np.float32), away_um


def _mean(contrast: FloatArray, away_um: npt.NDArray[np.float64]) -> FloatArray:
    """(k, k) over cells, whose centres scatter about their nuclei."""
    mpp = away_um[1] - away_um[0]
    return np.asarray(gaussian_filter(contrast.mean(axis=0), SCATTER_UM / mpp), np.float32)


def _highest(mean: FloatArray, away_um: npt.NDArray[np.float64]) -> tuple[float, float]:
    """(x, y) in µm where a mean contrast (k, k) is highest."""
    row, column = np.unravel_index(int(mean.argmax()), mean.shape)
    return float(away_um[column]), float(away_um[row])


def _sentence(
    name: str, cells_um: tuple[float, float], is_off: bool, there: float, here: float
) -> str:
    x, y = cells_um
    if not is_off:
        return (
            f"{name}: the cells lie on the nuclei to within {max(1.0, np.hypot(x, y)):.0f} µm "
            f"(haematoxylin contrast {there:.2f} OD)."
        )
    sides = [
        f"{abs(way):.0f} µm {words[way > 0]}"
        for way, words in ((x, ("left of", "right of")), (y, ("above", "below")))
        if abs(way) >= 1
    ]
    return (
        f"{name}: the cells lie about {' and '.join(sides)} the nuclei (haematoxylin contrast "
        f"{there:.2f} OD there, {_signed(here, 2)} as placed); shift them by "
        f"({_signed(-x)}, {_signed(-y)}) µm, or check the alignment and the µm/px."
    )


def _signed(value: float, digits: int = 0) -> str:
    """With a true minus, and none before a zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")

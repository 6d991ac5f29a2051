"""How far the virtual stain's brown lies where the real stain is brown: overlap of two masks.

Only the same section can tell: on a serial one the cells are others, and masks of brown pixels do
not meet whatever is predicted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.slide import Slide
from napari_past.spatial.landmarks import Affine
from napari_past.stain.compartments import Compartment
from napari_past.stain.dab import DAB_CUTOFFS, DabStains, stain_densities
from napari_past.stain.virtual import REACH_UM, class_densities, virtual_stain, virtual_stains
from napari_past.types import FoundCells, PixelGrid, Rect, Region, StainProfile

Mask = npt.NDArray[np.bool_]
MaskOf = Callable[[PixelGrid, tuple[int, int]], Mask]
"""Positive pixels of a grid of so many rows and columns, which lies on the H&E slide's lattice of
its µm/px."""

MPP = 0.5
BLOCK_PX = 1024
DAB_POSITIVE = DAB_CUTOFFS.weak
"""Optical density from which a pixel is brown: QuPath's weak cut-off."""
SERIAL = (
    "Masks of DAB are not compared: on a serial section other cells are cut, so brown pixels need "
    "not meet; stain the H&E section itself again (--same-section) to compare them."
)


@dataclass(frozen=True)
class MaskOverlap:
    """Brown area of one region, µm²."""

    patient: str
    region: str
    predicted_um2: float
    measured_um2: float
    both_um2: float

    @property
    def dice(self) -> float:
        """2 · both / (predicted + measured), 0–1; NaN where neither has any brown."""
        total = self.predicted_um2 + self.measured_um2
        return 2 * self.both_um2 / total if total > 0 else math.nan


def dice(predicted: Mask, measured: Mask) -> float:
    """Sørensen–Dice coefficient of two masks of one shape, 0–1; NaN where both are empty."""
    total = int(predicted.sum()) + int(measured.sum())
    return 2 * int((predicted & measured).sum()) / total if total else math.nan


def mask_overlaps(
    patient: str,
    regions: Sequence[Region],
    predicted: MaskOf,
    measured: MaskOf,
    mpp: float = MPP,
    block_px: int = BLOCK_PX,
) -> tuple[MaskOverlap, ...]:
    """Overlap of two masks in each region that is not ignored; what Ignore* regions cover is out.

    Parameters
    ----------
    regions
        In µm of the H&E slide.
    predicted, measured
        Give the masks, block by block.
    mpp
        µm per pixel of the masks.
    """
    ignored = shapely.union_all([r.polygon_um for r in regions if r.ignored])
    found = []
    for region in regions:
        if region.ignored:
            continue
        kept = region.polygon_um.difference(ignored)
        counts = np.zeros(3, np.int64)
        for grid, shape in _blocks(region.bounds, mpp, block_px):
            inside = _inside(kept, grid, shape)
            if not inside.any():
                continue
            here, there = predicted(grid, shape) & inside, measured(grid, shape) & inside
            counts += here.sum(), there.sum(), (here & there).sum()
        area = (counts * mpp**2).tolist()
        found.append(MaskOverlap(patient, region.name, *area))
    return tuple(found)


def virtual_mask(
    slide: Slide,
    cells: FoundCells,
    found: npt.NDArray[np.integer],
    compartment: Compartment,
    profile: StainProfile,
    unreliable: npt.NDArray[np.bool_] | None = None,
) -> MaskOf:
    """Brown of the virtual stain of an H&E slide, drawn by class as the viewer draws it.

    Parameters
    ----------
    found
        (n,), class of each cell, 0 to 3; −1 for cells without one, which are not drawn brown.
    unreliable
        (n,), cells that are hatched grey; none if omitted.
    """
    density = class_densities(found)
    hatched = np.zeros(len(cells), np.bool_) if unreliable is None else unreliable
    x, y = cells.centers_um.T

    def mask(grid: PixelGrid, shape: tuple[int, int]) -> Mask:
        height, width = (n * grid.mpp for n in shape)
        column, row = round(grid.x0_um / grid.mpp), round(grid.y0_um / grid.mpp)
        near = np.flatnonzero(
            (x > grid.x0_um - REACH_UM) & (x < grid.x0_um + width + REACH_UM)
            & (y > grid.y0_um - REACH_UM) & (y < grid.y0_um + height + REACH_UM)
        )  # fmt: skip
        rgb = slide.read_grid(column, row, shape[1], shape[0], grid.mpp)
        drawn = virtual_stain(
            rgb, grid, cells.take(near), density[near], hatched[near],
            compartment, profile,
        )  # fmt: skip
        brown = stain_densities(drawn, virtual_stains())[1] >= DAB_POSITIVE
        # Split into the two stains, the grey of hatched cells would pass for some of each.
        return np.asarray(brown & (np.ptp(drawn, axis=-1) > 0))

    return mask


def dab_mask(slide: Slide, stains: DabStains, affine: Affine | None = None) -> MaskOf:
    """Brown of a real stain, seen from the H&E slide: each pixel's nearest on the stained one.

    Parameters
    ----------
    affine
        From the H&E slide to the stained one; None where both have the same frame.
    """

    def mask(grid: PixelGrid, shape: tuple[int, int]) -> Mask:
        rows, columns = np.indices(shape)
        places = np.column_stack(
            [
                grid.x0_um + (columns.ravel() + 0.5) * grid.mpp,
                grid.y0_um + (rows.ravel() + 0.5) * grid.mpp,
            ]
        )
        there = places if affine is None else affine(places)
        # On the stained slide's own lattice, so that where nothing is turned nothing is resampled.
        column, row = np.floor(there / grid.mpp).astype(np.intp).T
        column0, row0 = int(column.min()), int(row.min())
        width, height = int(column.max()) - column0 + 1, int(row.max()) - row0 + 1
        rgb = slide.read_grid(column0, row0, width, height, grid.mpp)
        brown = stain_densities(rgb, stains)[1] >= DAB_POSITIVE
        return np.asarray(brown[row - row0, column - column0].reshape(shape))

    return mask


def _blocks(bounds: Rect, mpp: float, block_px: int) -> Iterator[tuple[PixelGrid, tuple[int, int]]]:
    """The blocks that cover a rectangle, on one lattice."""
    column0, row0 = math.floor(bounds.x_um / mpp), math.floor(bounds.y_um / mpp)
    column1, row1 = math.ceil(bounds.x1_um / mpp), math.ceil(bounds.y1_um / mpp)
    for row in range(row0, row1, block_px):
        for column in range(column0, column1, block_px):
            grid = PixelGrid(column * mpp, row * mpp, mpp)
            yield grid, (min(block_px, row1 - row), min(block_px, column1 - column))


def _inside(polygon: shapely.Geometry, grid: PixelGrid, shape: tuple[int, int]) -> Mask:
    """Pixels whose centre lies in a polygon."""
    rows, columns = np.indices(shape)
    x = grid.x0_um + (columns + 0.5) * grid.mpp
    y = grid.y0_um + (rows + 0.5) * grid.mpp
    shapely.prepare(polygon)
    return np.asarray(shapely.contains_xy(polygon, x.ravel(), y.ravel()).reshape(shape))

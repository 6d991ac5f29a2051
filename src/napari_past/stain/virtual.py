"""The virtual stain as pixels: an H&E block re-coloured to look like the IHC slide.

1. The haematoxylin of every pixel is kept, eosin is dropped (stain separation, Ruifrok & Johnston
   2001), and what is kept gets the colour of an IHC counterstain.
2. DAB is laid into the marker's compartment of every cell, in the density that the cell is given.
3. Light passes through both (Beer–Lambert): colour = glass · 10^−(h · H + d · DAB).

A picture of what was predicted, not a stain. It is drawn so that measuring it as a real slide gives
back what it was drawn from. A pixel depends on its own colour and on the cells within `REACH_UM`,
never on the block that is asked for.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_past.optical_density import RUIFROK_DAB, Vector, density_of_values
from napari_past.stain.compartments import CellShapes, Compartment, cell_shapes
from napari_past.stain.dab import (
    DAB_CUTOFFS,
    DabStains,
    given_dab_stains,
)
from napari_past.stain.spans import PARTS, Shape, crossings, filled, lattice_of
from napari_past.types import Cutoffs, FoundCells, Outlines, PixelGrid, Rgb, StainProfile

CLASS_DENSITIES = (0.0, 0.3, 0.5, 0.9)
"""DAB optical density that stands for the classes 0 to 3+: well within QuPath's steps."""
CONVENTION = "compartment drawn by convention, not predicted"
"""To be said wherever the picture is shown."""
REACH_UM = 45.0
"""Cells whose centre lies this near to a block must be given with it."""
COARSE_MPP = 2.0
"""Beyond it a nucleus is a pixel or two, and its stain is put there as a whole."""

GLASS: Vector = (243.0, 242.0, 239.0)
"""Clear glass of the picture, whatever the tint of the H&E's."""
COUNTERSTAIN: Vector = (0.79, 0.575, 0.213)
COUNTERSTAIN_DENSITY = 0.6
"""Density of the counterstain where the H&E has its 99th percentile of haematoxylin."""
TOE = 0.12
"""Share of that percentile below which the counterstain fades: what separation leaves of eosin."""
TISSUE = 0.1
"""Share of the eosin that is kept as counterstain: unstained tissue is not as clear as glass."""

FADE_UM: dict[Compartment, float] = {"nucleus": 0.35, "cytoplasm": 0.6, "membrane": 0.35}
"""Standard deviation with which stain fades at a compartment's edge."""
MOST_FADE_PASSES = 8
SCANLINE_UM = 1.0
"""Outlines are drawn by scanlines at most this far apart."""
LOST_AT_EDGES: dict[Compartment, float] = {"nucleus": 0.0, "cytoplasm": 0.1, "membrane": 0.27}
"""Share of the stain that fades out of a compartment, laid on beforehand; of nuclei by size."""
GRAINS = ((0.15, 0.5), (0.06, 1.6))
"""Standard deviation of the stain's grains as a share of its density, and their size in µm."""
CHROMATIN, TYPICAL_CHROMATIN = 0.3, 0.5
"""How far stain in nuclei follows the haematoxylin beneath, and where it keeps its density."""
CHROMATIN_LIMITS = (0.85, 1.1)
"""Of the factor by which it follows: a dark nucleus must not change its class."""

HATCH_GREY = 128
"""Of the lines over cells that are not reliable, 0–255; between them tissue stays, in grey."""
HATCH_PX, HATCH_LINE_PX = 7, 2
CELL_AREA_UM2 = 150.0
"""Of a cell with its cytoplasm, where it is too small to be drawn."""
NOT_ANALYSED_SHARE = 0.6
"""Share of the H&E's darkness that is left, in grey, where no cells are known."""
NUCLEAR_SHARE, OUTER_SHARE = 0.5, 0.12
"""Haematoxylin beneath a nucleus and elsewhere in a cell, as the legend has it."""

_WHOLE = 4096
"""Density is laid in whole parts of 1/4096, so that sums do not depend on their order."""
_MOST_BROWN, _BROWN_STEPS = 2, 512
_BROWN_STEP = _WHOLE * _MOST_BROWN // _BROWN_STEPS
_MOST_LAID = 3 * _WHOLE
"""Four times as much fits into 16 bits, in which stain fades."""
_MOST_BLUE, _BLUE_STEPS = 2, 512
"""The most haematoxylin, in times of its 99th percentile."""
_GRAIN_SIDE = 256

Amounts = npt.NDArray[np.int32]


def virtual_stains() -> DabStains:
    """The stain vectors and the glass that the picture is drawn with, for measuring it."""
    return given_dab_stains(COUNTERSTAIN, RUIFROK_DAB, GLASS)


def class_densities(found: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Density to draw for each class 0 to 3 (n,); NaN for −1, a cell without class."""
    table = np.array([*CLASS_DENSITIES, np.nan])
    return table[found]


def value_densities(values: npt.NDArray[np.floating], cutoffs: Cutoffs) -> npt.NDArray[np.float64]:
    """Density to draw for each value (n,): QuPath's DAB cut-offs at the value's own.

    Straight between them; below the weak one it falls to 0 within the step from weak to moderate,
    above the strong one it rises as before, to 1.2 at most. NaN stays.
    """
    weak, moderate, strong = cutoffs.values
    at = (weak - (moderate - weak), weak, moderate, strong, strong + 3 * (strong - moderate))
    return np.interp(values, at, (0.0, *DAB_CUTOFFS.values, 1.2))


def virtual_stain(
    rgb: Rgb,
    grid: PixelGrid,
    cells: FoundCells,
    density: npt.NDArray[np.floating],
    unreliable: npt.NDArray[np.bool_],
    compartment: Compartment,
    profile: StainProfile,
    shapes: CellShapes | None = None,
) -> Rgb:
    """What a block of H&E would look like as IHC if the cells had these densities of DAB.

    Parameters
    ----------
    rgb
        The block's pixels, uint8 (Y, X, 3).
    grid
        Where they lie.
    cells
        The n cells in the block and within `REACH_UM` of it; others do not matter. A cell without
        an outline gets none of the stain.
    density
        (n,), DAB optical density of each cell in its compartment, 0 to 2, by its class
        (`CLASS_DENSITIES`) or its value. NaN is not known and shown as not reliable.
    unreliable
        (n,), cells that are hatched grey and never brown.
    compartment
        Where the marker's stain lies.
    profile
        Stain vectors and background of the H&E slide.
    shapes
        `cell_shapes` of the same cells, where they are at hand; they cost a third of the drawing
        of cytoplasm or membranes.

    Returns
    -------
    uint8 (Y, X, 3).
    """
    if density.shape != (len(cells),) or unreliable.shape != (len(cells),):
        raise ValueError(
            f"{len(cells)} cells need as many densities and flags, but got {density.shape} and "
            f"{unreliable.shape}."
        )
    shape = rgb.shape[0], rgb.shape[1]
    near = np.flatnonzero(_near(cells.centers_um, grid, shape))
    cells, unreliable = cells.take(near), unreliable[near] | ~np.isfinite(density[near])
    # Unknown first: a flagged cell has no brown whatever its density.
    amounts = np.where(unreliable, 0, np.clip(np.nan_to_num(density[near]), 0, _MOST_BROWN))
    step = _blue_steps(rgb, profile) * _BROWN_STEPS
    flagged = None
    if amounts.any() or unreliable.any():
        if grid.mpp > COARSE_MPP:
            dab, flagged = _splashed(grid, shape, cells, amounts, unreliable, compartment)
        else:
            known = None if shapes is None else shapes.take(near)
            dab, flagged = _laid(grid, shape, cells, amounts, unreliable, compartment, known)
        step += np.minimum(dab, _WHOLE * _MOST_BROWN - 1).astype(np.int32) // _BROWN_STEP
    out = np.take(_colours(compartment == "nucleus"), step, axis=0)
    if flagged is not None:
        out[flagged] = not_analysed(out[flagged])
        out[flagged & _hatch(lattice_of(grid)[1], shape)] = HATCH_GREY
    return out


def not_analysed(rgb: Rgb) -> Rgb:
    """What stands for pixels (..., 3) of whose cells nothing is told: pale grey.

    Neither blue nor brown, so that nobody takes it for tissue without the marker.
    """
    weights = (np.array([77, 150, 29]) * NOT_ANALYSED_SHARE).astype(np.uint16)
    total = np.zeros(rgb.shape[:-1], np.uint16)
    for channel, weight in enumerate(weights):
        total += (255 - rgb[..., channel]) * weight
    grey = (255 - (total >> 8)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def drawn_colours(compartment: Compartment) -> Rgb:
    """Colours of the classes 0 to 3+ as they are drawn over typical tissue, uint8 (4, 3)."""
    share = NUCLEAR_SHARE if compartment == "nucleus" else OUTER_SHARE
    blue = round(share / _MOST_BLUE * _BLUE_STEPS)
    brown = np.rint(np.array(CLASS_DENSITIES) / _MOST_BROWN * _BROWN_STEPS).astype(int)
    colours: Rgb = _colours(compartment == "nucleus")[blue * _BROWN_STEPS + brown]
    return colours


def _near(
    centers_um: npt.NDArray[np.float64], grid: PixelGrid, shape: Shape
) -> npt.NDArray[np.bool_]:
    """Whether each cell (n,) can matter to a block."""
    x, y = centers_um[:, 0] - grid.x0_um, centers_um[:, 1] - grid.y0_um
    height_um, width_um = (n * grid.mpp for n in shape)
    inside = (x > -REACH_UM) & (x < width_um + REACH_UM)
    return np.asarray(inside & (y > -REACH_UM) & (y < height_um + REACH_UM))


def _blue_steps(rgb: Rgb, profile: StainProfile) -> Amounts:
    """Haematoxylin of each pixel in steps of its share of the 99th percentile, (Y, X)."""
    weights = np.linalg.pinv(np.array([profile.hematoxylin, profile.eosin])) @ (1.0, TISSUE)
    finer = 16
    step = _MOST_BLUE * profile.hematoxylin_scale / (_BLUE_STEPS * finer)
    total = np.zeros(rgb.shape[:2], np.int32)
    for channel, glass in enumerate(profile.background):
        table = np.rint(density_of_values(glass) * weights[channel] / step).astype(np.int32)
        total += np.take(table, rgb[..., channel])
    total //= finer
    return np.clip(total, 0, _BLUE_STEPS - 1, out=total)


@lru_cache(maxsize=2)
def _colours(nuclear: bool) -> npt.NDArray[np.uint8]:
    """Colour of each step of haematoxylin and each of DAB, (steps · steps, 3)."""
    share = np.arange(_BLUE_STEPS) * (_MOST_BLUE / _BLUE_STEPS)
    blue = COUNTERSTAIN_DENSITY * share**2 * (1 + TOE) / (share + TOE)
    brown = np.arange(_BROWN_STEPS) * (_MOST_BROWN / _BROWN_STEPS)
    follows = np.ones(_BLUE_STEPS)
    if nuclear:
        follows = np.clip(1 + CHROMATIN * (share - TYPICAL_CHROMATIN), *CHROMATIN_LIMITS)
    stains = virtual_stains()
    od = blue[:, None, None] * np.array(stains.hematoxylin)
    od = od + (follows[:, None] * brown)[..., None] * np.array(stains.dab)
    return np.rint(np.array(stains.background) * 10**-od).astype(np.uint8).reshape(-1, 3)


def _laid(
    grid: PixelGrid,
    shape: Shape,
    cells: FoundCells,
    amounts: npt.NDArray[np.float64],
    unreliable: npt.NDArray[np.bool_],
    compartment: Compartment,
    shapes: CellShapes | None,
) -> tuple[Amounts, npt.NDArray[np.bool_] | None]:
    """Density of DAB in parts of 1/`_WHOLE`, and where cells are flagged, both (Y, X)."""
    passes = min(round(2 * (FADE_UM[compartment] / grid.mpp) ** 2), MOST_FADE_PASSES)
    fade_um = math.sqrt(passes / 2) * grid.mpp
    wide = PixelGrid(grid.x0_um - passes * grid.mpp, grid.y0_um - passes * grid.mpp, grid.mpp)
    room = shape[0] + 2 * passes, shape[1] + 2 * passes
    lines = math.ceil(grid.mpp / SCANLINE_UM)
    full = PARTS * lines

    def covered(outlines: Outlines, by: npt.NDArray[np.integer]) -> Amounts:
        return filled(crossings(outlines, wide, room, lines), by, room, soft=True)

    brown = np.flatnonzero(amounts > 0)
    if compartment == "nucleus":
        whole_cells = cells.outlines
        given = _whole_parts(amounts / (1 - _lost_of_nuclei(cells.areas_um2, fade_um)))
        dab = covered(whole_cells.take(brown), given[brown])
        dab //= full
    else:
        shapes = cell_shapes(cells) if shapes is None else shapes
        whole_cells = shapes.borders
        given = _whole_parts(amounts / (1 - LOST_AT_EDGES[compartment]))[brown]
        laid = whole_cells.take(brown)
        if compartment == "membrane":
            laid = Outlines.concatenate([laid, shapes.inner_borders.take(brown)])
            given = np.concatenate([given, -given])
        dab = np.maximum(covered(laid, given), 0)
        dab //= full
        nuclei = covered(cells.outlines, np.ones(len(cells), np.int64))
        dab *= np.maximum(full - nuclei, 0)
        dab //= full
    np.minimum(dab, _MOST_LAID, out=dab)
    dab = _faded(dab.astype(np.uint16), passes) * _grain(lattice_of(grid)[1], shape, grid.mpp)
    dab >>= 8
    if not unreliable.any():
        return dab, None
    flags = np.ones(int(unreliable.sum()), np.int64)
    flagged = covered(whole_cells.take(unreliable), flags)
    flagged = flagged[passes : passes + shape[0], passes : passes + shape[1]]
    dab *= flagged == 0
    return dab, flagged > full // 2


def _whole_parts(amounts: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    return np.rint(amounts * _WHOLE).astype(np.int64)


def _lost_of_nuclei(areas_um2: npt.NDArray[np.floating], fade_um: float) -> npt.NDArray:
    """Share of a round nucleus's stain that a Gaussian takes over its edge."""
    radius_um = np.sqrt(np.maximum(areas_um2, 5.0) / np.pi)
    return 2 * fade_um / (math.sqrt(2 * math.pi) * radius_um)


def _faded(dab: npt.NDArray, passes: int) -> npt.NDArray:
    """Smoothed by 1-2-1 along both axes `passes` times; each takes a pixel from every side."""
    for _ in range(passes):
        dab = (dab[:-2] + dab[2:] + (dab[1:-1] << 1)) >> 2
        dab = (dab[:, :-2] + dab[:, 2:] + (dab[:, 1:-1] << 1)) >> 2
    return dab


def _grain(first: tuple[int, int], shape: Shape, mpp: float) -> Amounts:
    """Factors around 256 that make stain grainy, (Y, X), anchored to the slide."""
    tile = _grain_tile(round(mpp, 6))
    row, column = (n % _GRAIN_SIDE for n in first)
    times = -(-(row + shape[0]) // _GRAIN_SIDE), -(-(column + shape[1]) // _GRAIN_SIDE)
    return np.tile(tile, times)[row : row + shape[0], column : column + shape[1]]


@lru_cache(maxsize=8)
def _grain_tile(mpp: float) -> Amounts:
    """One period of the grain; it goes on at the opposite side."""
    rng = np.random.default_rng(0)
    factor = np.ones((_GRAIN_SIDE, _GRAIN_SIDE))
    for share, size_um in GRAINS:
        noise = ndimage.gaussian_filter(rng.normal(size=factor.shape), size_um / mpp, mode="wrap")
        factor += share * min(1.0, size_um / mpp) * noise / noise.std()
    return np.rint(256 * np.clip(factor, 0.4, 1.6)).astype(np.int32)


def _hatch(first: tuple[int, int], shape: Shape) -> npt.NDArray[np.bool_]:
    """Diagonal lines, (Y, X), anchored to the slide."""
    side = np.arange(HATCH_PX)
    line = (side[:, None] + side + first[0] + first[1]) % HATCH_PX < HATCH_LINE_PX
    times = -(-shape[0] // HATCH_PX), -(-shape[1] // HATCH_PX)
    return np.tile(line, times)[: shape[0], : shape[1]]


def _splashed(
    grid: PixelGrid,
    shape: Shape,
    cells: FoundCells,
    amounts: npt.NDArray[np.float64],
    unreliable: npt.NDArray[np.bool_],
    compartment: Compartment,
) -> tuple[Amounts, npt.NDArray[np.bool_] | None]:
    """As `_laid` where cells are too small to be drawn: each one's stain on the pixels nearest."""
    areas_um2 = np.asarray(cells.areas_um2, np.float64)
    if compartment != "nucleus":
        areas_um2 = np.maximum(CELL_AREA_UM2 - areas_um2, 0)
    if compartment == "membrane":
        areas_um2 = areas_um2 / 3
    pixel_um2 = grid.mpp**2
    dab = _splash(grid, shape, cells.centers_um, _whole_parts(amounts * areas_um2 / pixel_um2))
    if not unreliable.any():
        return dab, None
    flagged = cells.centers_um[unreliable]
    share = _whole_parts(np.minimum(cells.areas_um2[unreliable] / pixel_um2, 1.0))
    seen = _splash(grid, shape, flagged, share) > _WHOLE // 8
    dab[seen] = 0
    return dab, seen


def _splash(
    grid: PixelGrid, shape: Shape, centers_um: npt.NDArray[np.float64], parts: npt.NDArray[np.int64]
) -> Amounts:
    """Sum of what lies at each of the centres, spread over 3 x 3 pixels, (Y, X)."""
    shift, first = lattice_of(grid)
    room = shape[0] + 2, shape[1] + 2
    row = np.floor(centers_um[:, 1] / grid.mpp - shift[0]).astype(np.int64) - first[0] + 1
    column = np.floor(centers_um[:, 0] / grid.mpp - shift[1]).astype(np.int64) - first[1] + 1
    inside = (row >= 0) & (row < room[0]) & (column >= 0) & (column < room[1])
    place = row[inside] * room[1] + column[inside]
    total = np.bincount(place, parts[inside], room[0] * room[1]).astype(np.int32).reshape(room)
    return _faded(total, 1)

"""Finding the cores of a tissue microarray on its slide (dearraying).

1. The tissue mask is taken at 40 µm/px, and discs of the cores' diameter are matched with it: a
   disc full of tissue in a ring of glass. Where the diameter is not given, the one whose discs
   explain the tissue best is taken.
2. Places are linked to their neighbours along rows and columns, and counted (`lattice`).
3. Where each position's core should be follows from its row, its column and its neighbours; there
   the mask is looked at again, so that cores that are torn or touch another one are found too, and
   those that are missing are known.

The order of these steps (localise, match with the grid under a smooth deformation, look again where
the grid expects a core) is that of ATMAD: Nguyen, Paveau, Cauchois and Kervrann 2018, BMC
Bioinformatics 19, 148, doi:10.1186/s12859-018-2111-8; the discs stand in for its wavelets and
active contours, and rows and columns with their neighbours' deviations for its thin plate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from napari_past.errors import Cancelled, RegionError
from napari_past.slide import Slide
from napari_past.slide.tissue import TissueMask
from napari_past.tma.candidates import (
    LARGEST_UM,
    SMALLEST_UM,
    Candidates,
    FloatMap,
    coarse,
    disc_share,
    edge_diameter,
    find_discs,
    likely_diameter,
)
from napari_past.tma.grid import MISSING_BELOW, TmaCore, TmaGrid, core_name
from napari_past.tma.lattice import Lattice, find_axes, fit_lattice

LEAST_CORES = 4
"""Fewer are told as no grid: any three pieces of tissue lie on some grid."""
_LEAST_EXPLAINED = 0.6
"""Share of the tissue that lies in the discs of a grid, or beside them within a tenth."""
_SEARCH = 0.3
"""How far from where the grid expects it a core is looked for, in diameters."""
_PULL = 1.2
"""Share of the disc that a core must gain to lie so many diameters off, per squared distance."""
_CLEAR = 0.5
"""Share of tissue that a core needs to make a row or column at the edge of the grid on its own."""
_WHOLE = 0.8
"""Share of tissue of a core that is whole: it lies where it was seen, and its tissue is its own."""
_TAKES = 1.06
"""How much wider than its disc the tissue is that a core takes: cores are not quite round."""


def find_cores(
    slide: Slide,
    *,
    diameter_um: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TmaGrid:
    """The cores of a tissue microarray with the names of their positions, missing ones too.

    Rows are lettered from the top (A, …, Z, AA), columns numbered from the left, as QuPath does:
    "A-1". Positions within the grid that hold less than a tenth of a disc of tissue are marked as
    missing; those with less than half are told in `TmaGrid.notes`.

    Parameters
    ----------
    slide
        With a µm/px.
    diameter_um
        Of a core, 500 to 2,400 µm; estimated if omitted.
    cancelled
        Asked between the steps.

    Raises
    ------
    MissingPixelSize
        The slide has no µm/px.
    RegionError
        An implausible diameter, or no grid: one piece of tissue, or pieces that form none.
    Cancelled
        `cancelled` said so.
    """
    if diameter_um is not None and not SMALLEST_UM <= diameter_um <= LARGEST_UM:
        raise RegionError(
            f"Cores are {SMALLEST_UM:g} to {LARGEST_UM:g} µm wide, but the diameter given is "
            f"{diameter_um:g} µm; give it in µm, for example 1000 for a needle of 1 mm."
        )
    return grid_on(slide.tissue_mask(), slide.name, diameter_um, cancelled)


def grid_on(
    mask: TissueMask,
    name: str,
    diameter_um: float | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> TmaGrid:
    """As `find_cores`, on the tissue mask of a slide called `name`."""
    _go_on(cancelled)
    tissue, mpp = coarse(mask.mask, mask.mpp)
    given = diameter_um is not None
    diameter_um = diameter_um if given else likely_diameter(tissue, mpp)
    _go_on(cancelled)
    if diameter_um is None:
        raise RegionError(f"{name} shows no round cores; {_WHAT_ELSE}.")
    found = find_discs(tissue, mpp, diameter_um)
    axes = find_axes(found.centers_um)
    if axes is None or min(axes.step_um) < 0.8 * diameter_um:
        raise RegionError(_no_grid(name, len(found.centers_um), diameter_um, given))
    lattice = fit_lattice(found.centers_um, found.contrast, axes)
    _go_on(cancelled)
    if len(lattice.index) < LEAST_CORES:
        raise RegionError(_no_grid(name, len(found.centers_um), diameter_um, given))
    cores = _trimmed(_cores(lattice, found, tissue, mpp, diameter_um))
    whole = [core.center_um for core in cores if not (core.is_missing or core.is_partial)]
    if not given and whole:
        diameter_um = edge_diameter(tissue, mpp, np.array(whole), diameter_um)
        cores = _trimmed(_cores(lattice, found, tissue, mpp, diameter_um))
    share = _explained(cores, tissue, mpp)
    if sum(not core.is_missing for core in cores) < LEAST_CORES or share < _LEAST_EXPLAINED:
        raise RegionError(_no_grid(name, len(found.centers_um), diameter_um, given))
    return TmaGrid(cores, _notes(cores, lattice))


_WHAT_ELSE = (
    "if it is a tissue microarray, give the cores' width with --diameter (diameter_um=), or draw "
    "them as regions"
)


def _no_grid(name: str, discs: int, diameter_um: float, given: bool) -> str:
    wide = f"{diameter_um / 1000:.1f} mm"
    seen = f"{discs} round piece{'' if discs == 1 else 's'} of tissue of {wide}"
    advice = _WHAT_ELSE if not given else "leave the diameter out, or draw the cores as regions"
    return f"{name} is no grid of cores ({seen} seen, in no rows and columns); {advice}."


def _go_on(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("The search for cores was cancelled; nothing was changed.")


def _cores(
    lattice: Lattice, found: Candidates, tissue: FloatMap, mpp: float, diameter_um: float
) -> dict[tuple[int, int], TmaCore]:
    """A core for each position of the grid, where it lies or would.

    Discs that are clear come first, where they were seen, and take their tissue; the other
    positions share what is left, so that a missing core's neighbours do not stand in for it.
    """
    shares = disc_share(tissue, diameter_um / 2 / mpp)
    places: dict[tuple[int, int], tuple[npt.NDArray[np.float64], float]] = {}
    for number, (row, column) in zip(lattice.index, lattice.row_column, strict=True):
        place = _nearby(found.centers_um[number], shares, mpp, diameter_um)
        if place[1] >= _WHOLE:
            places[int(row), int(column)] = place
    taken = _discs([place for place, _ in places.values()], _TAKES * diameter_um, tissue, mpp)
    left = disc_share(np.where(taken, 0, tissue), diameter_um / 2 / mpp)
    cores = {}
    for row, column in np.ndindex(lattice.positions_um.shape[:2]):
        expected = lattice.positions_um[row, column]
        center, share = places.get((row, column)) or _nearby(expected, left, mpp, diameter_um)
        missing = share < MISSING_BELOW
        x, y = expected if missing else center
        cores[row, column] = TmaCore(
            core_name(row, column), row, column, (float(x), float(y)), diameter_um,
            is_missing=missing, tissue_fraction=share,
        )  # fmt: skip
    return cores


def _nearby(
    expected_um: npt.NDArray[np.float64], shares: FloatMap, mpp: float, diameter_um: float
) -> tuple[npt.NDArray[np.float64], float]:
    """Where near the expected place the disc holds most tissue, and the share of it.

    A place farther off must hold more: a torn core stays where its row and column have it.
    """
    reach = _SEARCH * diameter_um / mpp
    x_px, y_px = expected_um / mpp - 0.5
    rows = np.arange(math.ceil(y_px - reach), math.floor(y_px + reach) + 1)
    columns = np.arange(math.ceil(x_px - reach), math.floor(x_px + reach) + 1)
    rows = rows[(rows >= 0) & (rows < shares.shape[0])]
    columns = columns[(columns >= 0) & (columns < shares.shape[1])]
    if not len(rows) or not len(columns):
        return expected_um, 0.0
    away = np.hypot(rows[:, None] - y_px, columns[None] - x_px) * mpp / diameter_um
    window = shares[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    worth = np.where(away <= _SEARCH, window - _PULL * away**2, -np.inf)
    # Among the best places, which a full disc has several of, the middle.
    best = worth >= worth.max() - 0.01
    y, x = rows[np.nonzero(best)[0]].mean(), columns[np.nonzero(best)[1]].mean()
    at = window[worth.argmax() // len(columns), worth.argmax() % len(columns)]
    return (np.array([x, y]) + 0.5) * mpp, float(np.clip(at, 0, 1))


def _trimmed(cores: dict[tuple[int, int], TmaCore]) -> tuple[TmaCore, ...]:
    """The cores row by row, without rows and columns at the edge that no clear core stands for:
    dirt beside the grid made them."""
    kept = dict(cores)
    while kept:
        for axis in (0, 1):
            ends = {min(k[axis] for k in kept), max(k[axis] for k in kept)}
            poor = [
                end
                for end in sorted(ends)
                if not any(
                    not c.is_missing and c.tissue_fraction >= _CLEAR
                    for k, c in kept.items()
                    if k[axis] == end
                )
            ]
            if poor:
                kept = {k: c for k, c in kept.items() if k[axis] not in poor}
                break
        else:
            break
    if not kept:
        return ()
    top, left = (min(k[axis] for k in kept) for axis in (0, 1))
    return tuple(
        TmaCore(
            core_name(row - top, column - left), row - top, column - left, core.center_um,
            core.diameter_um, core.is_missing, core.tissue_fraction,
        )
        for (row, column), core in sorted(kept.items())
    )  # fmt: skip


def _explained(cores: tuple[TmaCore, ...], tissue: FloatMap, mpp: float) -> float:
    """Share of the tissue that lies within a tenth of the radius of some core's disc."""
    present = [core for core in cores if not core.is_missing]
    if not present:
        return 0.0
    centers = [np.array(core.center_um) for core in present]
    inside = _discs(centers, 1.1 * present[0].diameter_um, tissue, mpp)
    return float(tissue[inside].sum()) / float(tissue.sum())


def _discs(
    centers_um: Sequence[npt.NDArray[np.float64]], diameter_um: float, tissue: FloatMap, mpp: float
) -> npt.NDArray[np.bool_]:
    """Pixels of `tissue` within discs, (h, w)."""
    inside = np.zeros(tissue.shape, np.bool_)
    reach = diameter_um / 2 / mpp
    for center_um in centers_um:
        x_px, y_px = center_um / mpp - 0.5
        rows = slice(max(0, math.floor(y_px - reach)), math.ceil(y_px + reach) + 1)
        columns = slice(max(0, math.floor(x_px - reach)), math.ceil(x_px + reach) + 1)
        part = inside[rows, columns]
        y, x = np.ogrid[: part.shape[0], : part.shape[1]]
        part |= np.hypot(y + rows.start - y_px, x + columns.start - x_px) <= reach
    return inside


def _notes(cores: tuple[TmaCore, ...], lattice: Lattice) -> tuple[str, ...]:
    notes = []
    partial = [core for core in cores if core.is_partial]
    if partial:
        told = ", ".join(f"{c.name} ({100 * c.tissue_fraction:.0f} %)" for c in partial)
        notes.append(f"Less than half of the disc is tissue: {told}.")
    for kind, empty in (("row", lattice.empty_rows), ("column", lattice.empty_columns)):
        if empty:
            notes.append(
                f"{len(empty)} {kind}{'s' if len(empty) > 1 else ''} of the grid hold"
                f"{'' if len(empty) > 1 else 's'} no core at all; check the names that follow."
            )
    if lattice.gaps:
        notes.append(
            f"{lattice.gaps} gap{'s' if lattice.gaps > 1 else ''} between blocks of cores "
            f"{'are' if lattice.gaps > 1 else 'is'} not a whole number of steps, so names go on "
            "without a break there."
        )
    return tuple(notes)

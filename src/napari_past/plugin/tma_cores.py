"""A grid of cores as regions on the slide, and back. Knows no viewer.

A core is an Include region that is named after its position; a missing one is ignored, so that
nothing at its place is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from napari_past.tma import TmaCore, TmaGrid, core_name, position_of
from napari_past.tma.grid import in_order
from napari_past.types import IGNORE, Region

NO_CORE = f"{IGNORE} (no core)"
"""Role of the region of a missing core."""
Columns = Mapping[str, Mapping[str, str]]
"""What is told of each core, by its name and by the names of a spreadsheet's columns."""
NONE_TOLD: Columns = MappingProxyType({})


def regions_of_cores(grid: TmaGrid) -> tuple[Region, ...]:
    """A region for each position of a grid."""
    present = {region.name: region for region in grid.regions()}
    return tuple(
        present.get(core.name) or Region(core.name, NO_CORE, core.disc_um) for core in grid.cores
    )


def is_core(name: str) -> bool:
    """Whether a region has the name of a position, as "A-1"."""
    position = position_of(name)
    return position is not None and core_name(*position) == name


def without_cores(regions: Sequence[Region]) -> tuple[Region, ...]:
    """The regions that are no cores."""
    return tuple(region for region in regions if not is_core(region.name))


def grid_of_regions(regions: Sequence[Region], columns: Columns) -> TmaGrid | None:
    """The grid that the cores among some regions form; None without any.

    Raises
    ------
    RegionError
        Two regions have the name of one core.
    """
    cores = []
    for region in regions:
        position = position_of(region.name) if is_core(region.name) else None
        if position is None:
            continue
        box = region.bounds
        told = dict(columns.get(region.name, {}))
        cores.append(
            TmaCore(
                region.name,
                *position,
                (box.x_um + box.width_um / 2, box.y_um + box.height_um / 2),
                (box.width_um + box.height_um) / 2,
                is_missing=region.ignored,
                case=told.pop("case", ""),
                columns=told,
            )
        )
    return TmaGrid(in_order(cores)) if cores else None


def columns_of_grid(grid: TmaGrid) -> Columns:
    """What is told of the grid's cores; of missing ones too, which may be put back."""
    return {core.name: core.told for core in grid.cores if core.told}


def renamed(
    regions: Sequence[Region], columns: Columns, old: str, new: str
) -> tuple[tuple[Region, ...], Columns]:
    """The regions with one core renamed, and what is told of the cores; if another core has the new
    name, the two change names."""
    names = {old: new, new: old}
    named = tuple(replace(r, name=names.get(r.name, r.name)) for r in regions)
    return named, {names.get(name, name): told for name, told in columns.items()}


def told_in_short(grid: TmaGrid) -> str:
    """As "8 rows x 12 columns: 91 cores, 5 missing, 40 cases"."""
    parts = [_counted(len(grid.present), "core")]
    if grid.missing:
        parts.append(f"{len(grid.missing)} missing")
    if grid.cases:
        parts.append(_counted(len(grid.cases), "case"))
    rows, columns = _counted(grid.rows, "row"), _counted(grid.columns, "column")
    return f"{rows} x {columns}: {', '.join(parts)}"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"

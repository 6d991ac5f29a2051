"""A tissue microarray: cores on a grid of rows and columns, some of them missing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from napari_past.errors import RegionError
from napari_past.types import INCLUDE, FloatArray, Rect, Region

PARTIAL_BELOW, MISSING_BELOW = 0.5, 0.1
"""Share of the disc that is tissue, under which a core is told as partial, or taken for missing.
An intact core of the default mask fills 0.8 to 1 of it."""
_QUADRANT_SEGMENTS = 16
"""A circle of 64 corners has 99.8 % of the disc's area."""
_NAME = re.compile(r"([A-Z]{1,2})-?([1-9]\d{0,2})")


def row_letters(row: int) -> str:
    """The letters of a row, counted from 0: A, B, … Z, AA, AB, …"""
    letters = ""
    row += 1
    while row:
        row, last = divmod(row - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters


def core_name(row: int, column: int) -> str:
    """As "A-1", for the core in row 0 and column 0."""
    return f"{row_letters(row)}-{column + 1}"


def position_of(name: str) -> tuple[int, int] | None:
    """Row and column, counted from 0, that a name like "A-1" or "A1" tells; None for another."""
    told = _NAME.fullmatch(name.strip().upper())
    if told is None:
        return None
    row = 0
    for letter in told[1]:
        row = 26 * row + ord(letter) - ord("A") + 1
    return row - 1, int(told[2]) - 1


@dataclass(frozen=True)
class TmaCore:
    """One position of the grid."""

    name: str
    """As "A-1"; unique in its grid."""
    row: int
    """From 0."""
    column: int
    """From 0."""
    center_um: tuple[float, float]
    """(x, y) in slide space."""
    diameter_um: float
    is_missing: bool = False
    """Whether there is no core; its place is where it would be."""
    tissue_fraction: float = math.nan
    """Share of the disc that is tissue, 0–1; NaN where nobody looked."""
    case: str = ""
    """Patient or block that the core is of; several cores may have one."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What else a spreadsheet tells of it, by the names of its columns."""

    def __post_init__(self) -> None:
        values = (*self.center_um, self.diameter_um)
        if not all(map(math.isfinite, values)) or self.diameter_um <= 0:
            raise RegionError(
                f"Core {self.name} needs a finite centre and a positive diameter in µm, but got "
                f"{values}."
            )

    @property
    def is_partial(self) -> bool:
        """Whether it is there, but less than half of its disc is tissue."""
        return not self.is_missing and self.tissue_fraction < PARTIAL_BELOW

    @cached_property
    def disc_um(self) -> shapely.Polygon:
        """Its outline, (x, y) in µm."""
        circle = shapely.Point(self.center_um).buffer(
            self.diameter_um / 2, quad_segs=_QUADRANT_SEGMENTS
        )
        assert isinstance(circle, shapely.Polygon)
        return circle

    @property
    def told(self) -> dict[str, str]:
        """Case and further columns, for a table of scores; empty ones are left out."""
        return {**({"case": self.case} if self.case else {}), **self.columns}


@dataclass(frozen=True)
class TmaGrid:
    """All positions of a tissue microarray, row by row."""

    cores: tuple[TmaCore, ...]
    notes: tuple[str, ...] = ()
    """Sentences that the user is to be told."""

    def __post_init__(self) -> None:
        if not self.cores:
            raise RegionError("A grid needs at least one core.")
        for kind, seen in (
            ("name", Counter(core.name for core in self.cores)),
            ("position", Counter(core_name(core.row, core.column) for core in self.cores)),
        ):
            often, count = seen.most_common(1)[0]
            if count > 1:
                raise RegionError(
                    f"{count} cores of the grid have the {kind} {often}; give each one of its own."
                )

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 1 + max(core.row for core in self.cores)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return 1 + max(core.column for core in self.cores)

    @property
    def present(self) -> tuple[TmaCore, ...]:
        """Cores that are there."""
        return tuple(core for core in self.cores if not core.is_missing)

    @property
    def missing(self) -> tuple[TmaCore, ...]:
        return tuple(core for core in self.cores if core.is_missing)

    @property
    def cases(self) -> dict[str, tuple[TmaCore, ...]]:
        """Cores that are there by case, in the grid's order; those without a case are left out."""
        found: dict[str, list[TmaCore]] = {}
        for core in self.present:
            if core.case:
                found.setdefault(core.case, []).append(core)
        return {case: tuple(cores) for case, cores in found.items()}

    @property
    def diameter_um(self) -> float:
        """Median of the cores' diameters."""
        return float(np.median([core.diameter_um for core in self.cores]))

    @property
    def bounds(self) -> Rect:
        """The smallest rectangle that holds all discs."""
        x0, y0, x1, y1 = shapely.total_bounds([core.disc_um for core in self.cores])
        return Rect(x0, y0, x1 - x0, y1 - y0)

    def regions(self) -> tuple[Region, ...]:
        """One Include region for each core that is there, named after it."""
        return tuple(Region(core.name, INCLUDE, core.disc_um) for core in self.present)

    def case_regions(self) -> tuple[Region, ...]:
        """One Include region for each case: the discs of its cores together."""
        return tuple(
            Region(case, INCLUDE, _together([core.disc_um for core in cores]))
            for case, cores in self.cases.items()
        )

    def told(self) -> dict[str, dict[str, str]]:
        """Case and further columns of each core that is there, by its name."""
        return {core.name: core.told for core in self.present if core.told}

    def core_at(self, points_um: FloatArray) -> npt.NDArray[np.intp]:
        """Number in `cores` of the core that holds each point (n, 2), (x, y) in µm; −1 for none.

        Missing cores hold nothing. Where discs overlap, the nearer centre counts.
        """
        points = np.asarray(points_um, np.float64)
        found = np.full(len(points), -1, np.intp)
        nearest = np.full(len(points), np.inf)
        # A million cells and hundreds of cores: each core looks at the cells around it alone.
        tree = cKDTree(points)
        for number, core in enumerate(self.cores):
            if core.is_missing:
                continue
            radius_um = core.diameter_um / 2
            near = np.array(tree.query_ball_point(core.center_um, radius_um), np.intp)
            away = np.hypot(*(points[near] - core.center_um).T) / radius_um
            closer = away < nearest[near]
            found[near[closer]], nearest[near[closer]] = number, away[closer]
        return found

    def changed(self, name: str, **changes: object) -> TmaGrid:
        """The grid with one core changed, for example ``is_missing=True`` or ``name="B-2"``.

        Raises
        ------
        RegionError
            No core has that name, or another one has the new name.
        """
        if all(core.name != name for core in self.cores):
            raise RegionError(f"The grid has no core {name}; it has {self._names}.")
        cores = tuple(
            replace(core, **changes) if core.name == name else core  # type: ignore[arg-type]
            for core in self.cores
        )
        return replace(self, cores=cores)

    @property
    def _names(self) -> str:
        return f"{self.cores[0].name} to {self.cores[-1].name}"


def in_order(cores: Sequence[TmaCore]) -> tuple[TmaCore, ...]:
    """Row by row, and by column within a row."""
    return tuple(sorted(cores, key=lambda core: (core.row, core.column)))


def _together(discs: list[shapely.Polygon]) -> shapely.Polygon | shapely.MultiPolygon:
    joined = shapely.union_all(discs)
    assert isinstance(joined, (shapely.Polygon, shapely.MultiPolygon))
    return joined

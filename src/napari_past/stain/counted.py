"""Which cells each row of a table counts: worked out once, whatever the gene and its cut-offs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.types import Region

WHOLE_SLIDE, WHOLE_SLIDE_ROLE = "slide", "All nuclei"


@dataclass(frozen=True)
class CountedRow:
    """The cells of one region, or of the whole slide."""

    region: str
    role: str
    shape: Region | None
    """None for the whole slide."""
    index: npt.NDArray[np.intp]
    """Of the cells that count, ascending."""
    excluded: int
    """Cells in it that an Ignore* region took out."""
    unscored: int
    """Cells in it that lie where nothing is scored."""
    area_mm2: float
    """Of the region less what Ignore* regions cover and what is not scored; NaN where cells are not
    scored and nobody tells over which area, and for the slide unless it was given."""


@dataclass(frozen=True)
class CountedCells:
    """The cells of all rows."""

    centers_um: npt.NDArray[np.float64]
    """(n, 2), of all cells."""
    rows: tuple[CountedRow, ...]
    index: npt.NDArray[np.intp]
    """Of the cells that some row counts, ascending."""
    excluded: int
    """Cells that Ignore* regions took out of the rows."""
    unscored: int
    """Cells that the rows would have counted but that lie where nothing is scored."""
    unscored_cells: Mapping[str, int]
    """`unscored` by kind, where kinds were given."""


def count_cells(
    centers_um: npt.ArrayLike,
    regions: Sequence[Region] = (),
    *,
    slide_area_mm2: float | None = None,
    unscored: npt.ArrayLike | None = None,
    unscored_within: Callable[[shapely.Geometry], float] | None = None,
    also_slide: bool = False,
) -> CountedCells:
    """The cells of each region that is not ignored; with none, of the whole slide.

    A cell belongs to every region that contains its centre, so regions may overlap or lie in each
    other; holes and the border itself are outside; where a line crosses itself, the loops count;
    what lies in an Ignore* region counts nowhere.

    Parameters
    ----------
    centers_um
        (n, 2), (x, y) in µm of slide space.
    regions
        In slide space. Two of one name are two rows.
    slide_area_mm2
        Area of the whole-slide row, for example of the tissue; unknown otherwise.
    unscored
        (n,), cells that lie where nothing is scored: True, or the kind's name ("" where scored).
    unscored_within
        Area in mm² that is not scored inside of a polygon in µm, as `QualityMask.area_within`.
    also_slide
        Give the whole slide a last row where there are regions too.

    Raises
    ------
    ValueError
        Shapes that do not fit, or a centre that is not finite.
    """
    centers = np.asarray(centers_um, dtype=np.float64)
    if centers.ndim != 2 or centers.shape[1] != 2:
        raise ValueError(f"Scores need centres (n, 2), but got {centers.shape}.")
    if not np.isfinite(centers).all():
        raise ValueError("Every cell needs a finite centre in µm.")
    n = len(centers)
    kinds = np.zeros(n, np.bool_) if unscored is None else np.asarray(unscored)
    if kinds.shape != (n,) or kinds.dtype.kind not in "bUO":
        raise ValueError(
            f"Cells not scored are told by bool or text {(n,)}, but got {kinds.dtype} "
            f"{kinds.shape}."
        )
    away = kinds if kinds.dtype == np.bool_ else kinds != ""
    shapes = [_valid(region) for region in regions]
    ignored = np.zeros(n, np.bool_)
    for region in shapes:
        if region.ignored:
            ignored |= region.contains(centers)
    cover = shapely.union_all([region.polygon_um for region in shapes if region.ignored])
    asked = np.zeros(n, np.bool_)
    rows = []

    def add(name: str, role: str, shape: Region | None, area_mm2: float) -> None:
        inside = np.ones(n, np.bool_) if shape is None else shape.contains(centers)
        np.logical_or(asked, inside, out=asked)
        lost = int((inside & ~ignored & away).sum())
        if lost and shape is not None and unscored_within is None:
            area_mm2 = float("nan")
        rows.append(
            CountedRow(
                region=name,
                role=role,
                shape=shape,
                index=np.flatnonzero(inside & ~ignored & ~away),
                excluded=int((inside & ignored).sum()),
                unscored=lost,
                area_mm2=area_mm2,
            )
        )

    for region in shapes:
        if not region.ignored:
            left_um = region.polygon_um.difference(cover)
            away_mm2 = 0.0 if unscored_within is None else unscored_within(left_um)
            # A mask's pixels may reach over the border by a little.
            area_mm2 = max(float(left_um.area) / 1e6 - away_mm2, 0.0)
            add(region.name, region.role, region, area_mm2)
    if not rows or also_slide:
        area_mm2 = float("nan") if slide_area_mm2 is None else slide_area_mm2
        add(WHOLE_SLIDE, WHOLE_SLIDE_ROLE, None, area_mm2)
    left_out = asked & ~ignored & away
    return CountedCells(
        centers_um=centers,
        rows=tuple(rows),
        index=np.flatnonzero(asked & ~ignored & ~away),
        excluded=int((asked & ignored).sum()),
        unscored=int(left_out.sum()),
        unscored_cells={} if kinds.dtype == np.bool_ else _numbers(kinds[left_out]),
    )


def _valid(region: Region) -> Region:
    """The region with the loops of a line that crosses itself as its parts."""
    if region.polygon_um.is_valid:
        return region
    mended = shapely.get_parts(shapely.get_parts(shapely.make_valid(region.polygon_um)))
    parts = [part for part in mended if part.geom_type == "Polygon"]
    return Region(region.name, region.role, shapely.union_all(parts))


def _numbers(kinds: npt.NDArray) -> dict[str, int]:
    """How many cells of each kind, most first."""
    names, counts = np.unique(kinds.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(names[i]): int(counts[i]) for i in order}

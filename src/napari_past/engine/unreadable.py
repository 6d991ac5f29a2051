"""Where a slide could not be read: told with every table, and what it means for a region."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.types import Rect, Region, TileSpec

UNREADABLE = "unreadable"
"""Key in ``uns["napari_past"]`` of what `unreadable_told` gives."""
RECTS = "rects_um"
LEAST_SHARE = 1e-4
"""Of a region: what is less is not told."""


def unreadable_told(tiles: Sequence[TileSpec]) -> dict[str, int | npt.NDArray[np.float64]]:
    """Tiles that could not be read, for a table: their number, and (n, 4) x, y, width, height in
    µm of slide space."""
    rects = [(r.x_um, r.y_um, r.width_um, r.height_um) for r in (tile.rect for tile in tiles)]
    return {"tiles": len(tiles), RECTS: np.array(rects, np.float64).reshape(-1, 4)}


def unreadable_rects(told: Mapping[str, object]) -> tuple[Rect, ...]:
    """The rectangles that a table's ``uns["napari_past"]`` tells; none in tables without them."""
    member = told.get(UNREADABLE)
    rects = member.get(RECTS) if isinstance(member, Mapping) else None
    try:
        values = np.asarray(rects if rects is not None else [], np.float64).reshape(-1, 4)
        return tuple(Rect(*row) for row in values.tolist())
    except (ValueError, TypeError):
        return ()


def unreadable_mm2(rects: Iterable[Rect], region: Region | None = None) -> float:
    """Area that could not be read, of a region or in all, in mm²."""
    lost = shapely.union_all([shapely.box(r.x_um, r.y_um, r.x1_um, r.y1_um) for r in rects])
    if region is not None:
        lost = shapely.intersection(lost, shapely.make_valid(region.polygon_um))
    return float(lost.area) / 1e6


def unreadable_lines(rects: Sequence[Rect], regions: Sequence[Region] = ()) -> list[str]:
    """What to tell beside scores: a sentence for each region that holds some of it, else for all.

    Ignore* regions are passed over. Nothing where everything was read.
    """
    if not rects:
        return []
    counted = [region for region in regions if not region.ignored]
    if not counted:
        return [
            f"{len(rects)} tile{'s' if len(rects) > 1 else ''} of the slide "
            f"({unreadable_mm2(rects):.3g} mm²) could not be read: cells there are missing from "
            "all numbers."
        ]
    lines = []
    for region in counted:
        lost_mm2 = unreadable_mm2(rects, region)
        share = lost_mm2 * 1e6 / region.polygon_um.area
        if share > LEAST_SHARE:
            lines.append(
                f"{100 * share:.2g} % of region {region.name} ({lost_mm2:.3g} mm²) could not be "
                "read: cells there are missing from its numbers."
            )
    return lines

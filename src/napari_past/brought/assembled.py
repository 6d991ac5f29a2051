"""What every source of cells ends in: cells with names of their own, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.cells.brought import BroughtCells
from napari_past.errors import BadTable
from napari_past.io.cell_ids import position_ids
from napari_past.types import FloatArray, FoundCells, Outlines

MOST_VERTICES = 256
"""A longer outline is simplified: one drawn by hand must not widen the row of every cell."""


def unique_ids(
    ids: Sequence[str] | None, centers_um: npt.NDArray[np.float64]
) -> tuple[tuple[str, ...], str]:
    """A name for each cell, and a sentence where names had to be made different.

    Parameters
    ----------
    ids
        Their own; None, or an empty one, for cells that came without.
    """
    if ids is None:
        return tuple(position_ids(centers_um)), ""
    names = [own.strip() for own in ids]
    if not all(names):
        names = [own or made for own, made in zip(names, position_ids(centers_um), strict=True)]
    if len(set(names)) == len(names):
        return tuple(names), ""
    taken = set(names)
    seen: dict[str, int] = {}
    twice = 0
    for i, name in enumerate(names):
        count = seen[name] = seen.get(name, 0) + 1
        if count > 1:
            twice += 1
            while (numbered := f"{name}-{count}") in taken:
                count += 1
            taken.add(numbered)
            names[i], seen[name] = numbered, count
    cells = "1 cell had" if twice == 1 else f"{twice} cells had"
    return tuple(names), f"{cells} the id of another and got a number behind it."


def assembled(
    centers_um: FloatArray,
    outlines: Outlines,
    areas_um2: FloatArray,
    *,
    ids: Sequence[str] | None,
    columns: Mapping[str, npt.NDArray] | None,
    source: str,
    kind: str,
    notes: Sequence[str] = (),
    cell_outlines: Outlines | None = None,
) -> BroughtCells:
    """The cells, each with a name of its own.

    Raises
    ------
    BadTable
        There is none.
    """
    if not len(centers_um):
        raise BadTable(f"{source or 'The layer'} holds no cells; check that it is the right one.")
    centers = np.ascontiguousarray(centers_um, np.float64)
    names, told = unique_ids(ids, centers)
    found = FoundCells(centers, outlines, np.asarray(areas_um2, np.float32), names)
    return BroughtCells(
        found=found,
        source=source,
        kind=kind,
        columns=dict(columns or {}),
        notes=(*notes, *([told] if told else [])),
        cell_outlines=cell_outlines,
    )


def mended(geometries: Iterable[shapely.Geometry | None]) -> npt.NDArray[np.object_]:
    """The largest valid polygon of each geometry, (n,); a point stays; None where nothing is left.

    Holes are dropped, and outlines that cross themselves are untangled.
    """
    shapes = np.array(list(geometries), dtype=object)
    if not len(shapes):
        return shapes
    # A coordinate that is no number makes GEOS fail, or worse.
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    shapes[owner[~np.isfinite(xy).all(axis=1)]] = None
    kinds = shapely.get_type_id(shapes)
    wrong = ~shapely.is_valid(shapes) & (kinds >= 0)
    shapes[wrong] = shapely.make_valid(shapes[wrong])
    kinds = shapely.get_type_id(shapes)
    for i in np.flatnonzero(np.isin(kinds, (4, 5, 6, 7))).tolist():
        parts = shapely.get_parts(shapely.get_parts(shapes[i]))
        areas = shapely.area(parts)
        shapes[i] = parts[int(areas.argmax())] if len(parts) and areas.max() > 0 else None
    kinds = shapely.get_type_id(shapes)
    flat = (kinds == 3) & ~(shapely.area(shapes) > 0)
    shapes[flat | ~np.isin(kinds, (-1, 0, 3))] = None
    shapes[shapely.is_empty(shapes)] = None
    return shapes


def outlines_of(polygons: npt.NDArray[np.object_]) -> Outlines:
    """Outer rings of polygons (n,); none for a point or None."""
    kinds = shapely.get_type_id(polygons)
    rings = np.full(len(polygons), None, dtype=object)
    is_polygon = kinds == 3
    rings[is_polygon] = shapely.get_exterior_ring(polygons[is_polygon])
    for i in np.flatnonzero(shapely.get_num_coordinates(rings) > MOST_VERTICES + 1).tolist():
        ring = shapely.get_coordinates(rings[i])[:-1]
        thin = ring[np.arange(MOST_VERTICES) * len(ring) // MOST_VERTICES]
        rings[i] = shapely.linearrings(thin)
    xy, owner = shapely.get_coordinates(rings, return_index=True)
    counts = np.bincount(owner, minlength=len(rings))
    keep = np.ones(len(xy), bool)
    keep[np.cumsum(counts)[counts > 0] - 1] = False
    lengths = np.maximum(counts - 1, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Outlines(xy[keep].astype(np.float32), offsets)

"""A region as one ring, as napari's shapes are: holes and parts are reached over bridges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from napari_past.types import Region

_ROUNDING_UM = 0.01
"""napari keeps vertices in single precision: by so much a border may move."""
Ring = npt.NDArray[np.float64]


def ring_of(region: Region) -> Ring:
    """One ring (v, 2) in µm, not closed, that encloses what the region does.

    Every hole, and every further part, is reached from the nearest place over a bridge that is gone
    there and back: a bridge has no area, so that whoever mends the ring gets holes and parts again.
    """
    parts = shapely.get_parts(region.polygon_um)
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    first, *others = [np.asarray(ring.coords)[:-1] for ring in rings]
    joined = first
    # The nearest first, so that bridges are short.
    while others:
        away = [shapely.distance(_line(joined), _line(other)) for other in others]
        joined = _bridged(joined, others.pop(int(np.argmin(away))))
    return joined


def same_regions(some: tuple[Region, ...], others: tuple[Region, ...]) -> bool:
    """Whether names, roles and areas are the same, wherever their rings begin."""
    named = [(region.name, region.role) for region in some]
    return named == [(region.name, region.role) for region in others] and same_places(some, others)


def same_places(some: tuple[Region, ...], others: tuple[Region, ...]) -> bool:
    """Whether areas are the same, whatever the names and roles."""
    return len(some) == len(others) and all(map(_same_area, some, others))


def _same_area(one: Region, other: Region) -> bool:
    if one.polygon_um == other.polygon_um or _same_corners(one, other):
        return True
    apart = shapely.symmetric_difference(one.polygon_um, other.polygon_um).area
    return bool(apart <= _ROUNDING_UM * one.polygon_um.length)


def _same_corners(one: Region, other: Region) -> bool:
    """Whether rings begin alike and differ by rounding alone: cheap, and nearly always so."""
    here, there = (shapely.get_coordinates(region.polygon_um) for region in (one, other))
    return here.shape == there.shape and bool(np.abs(here - there).max() <= _ROUNDING_UM)


def _bridged(ring: Ring, other: Ring) -> Ring:
    """A ring that leaves its way at a place, goes around another one, and comes back."""
    here, there = shapely.get_coordinates(shapely.shortest_line(_line(ring), _line(other)))
    ring, other = _begun_at(ring, here), _begun_at(other, there)
    return np.concatenate([ring, ring[:1], other, other[:1]])


def _begun_at(ring: Ring, place: npt.NDArray[np.float64]) -> Ring:
    """The same ring from a place on it, which becomes its first vertex."""
    known = np.flatnonzero((ring == place).all(axis=1))
    if len(known):
        return np.roll(ring, -int(known[0]), axis=0)
    edges = shapely.linestrings(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1))
    edge = int(np.argmin(shapely.distance(edges, shapely.Point(place))))
    return np.concatenate([place[None], np.roll(ring, -(edge + 1), axis=0)])


def _line(ring: Ring) -> shapely.LinearRing:
    return shapely.LinearRing(ring)

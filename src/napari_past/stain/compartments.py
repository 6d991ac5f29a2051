"""Where a cell's nucleus, cytoplasm and membrane lie, and how brown each of them is.

Only nuclei are seen. The rest is drawn by convention: the cell's border lies a stated distance
outside of its nucleus, or half-way to a nearer nucleus; the membrane is a band of stated width
along that border; the cytoplasm is what remains between nucleus and membrane. Half-way is exact
between round nuclei (each counts with its radius towards the other); no compartment enters the
nucleus of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_past.genes.marker import Marker
from napari_past.stain.spans import crossings, filled, lattice_of, sums_within
from napari_past.types import FloatArray, FoundCells, Outlines, PixelGrid

Compartment = Literal["nucleus", "cytoplasm", "membrane"]
COMPARTMENTS: tuple[Compartment, ...] = get_args(Compartment)

RING_UM = 4.0
"""How far a lone cell reaches beyond its nucleus."""
MEMBRANE_UM = 1.0
RAYS = 24
"""Radii that describe a cell's border; also the sectors of a membrane."""
PER_SECTOR = 3
"""Rays looked at in one sector of a membrane, …"""
DEEP = 4
"""… and samples along each."""
LEAST_OWN = 0.5
"""Share of a nucleus that no other outline covers, from which on that alone is measured."""
LEAST_BAND_UM = 0.25
"""Between two nuclei that lie closer no membrane can be seen."""

_TURN = 2 * np.pi / RAYS


def compartment_of(marker: Marker | None) -> Compartment:
    """Where a virtual stain is drawn: in the first compartment that the panel names for the marker;
    of a gene that is no marker in the cytoplasm."""
    named = () if marker is None else marker.compartments[:1]
    return next((c for c in COMPARTMENTS if c in named), "cytoplasm")


@dataclass(frozen=True)
class CellShapes:
    """n nuclei and the borders of their cells."""

    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) in µm, inside of the nucleus."""
    nuclei: Outlines
    nucleus_um: npt.NDArray[np.float64]
    """(n, RAYS), distance of the nucleus's outline from the centre, from the x axis towards y."""
    border_um: npt.NDArray[np.float64]
    """(n, RAYS), distance of the cell's border, at least that of the nucleus."""
    membrane_um: float

    def __len__(self) -> int:
        return len(self.centers_um)

    def take(self, index: npt.NDArray[np.intp]) -> CellShapes:
        """The chosen cells, in that order."""
        return CellShapes(
            self.centers_um[index], self.nuclei.take(index), self.nucleus_um[index],
            self.border_um[index], self.membrane_um,
        )  # fmt: skip

    @property
    def borders(self) -> Outlines:
        """Outer edge of the membrane."""
        return self._polygons(self.border_um)

    @property
    def inner_borders(self) -> Outlines:
        """Inner edge of the membrane, never inside of the nucleus."""
        return self._polygons(self.inner_um)

    @property
    def inner_um(self) -> npt.NDArray[np.float64]:
        """(n, RAYS), distance of the membrane's inner edge."""
        return np.maximum(self.border_um - self.membrane_um, self.nucleus_um)

    def _polygons(self, radii_um: npt.NDArray[np.float64]) -> Outlines:
        n = len(self)
        vertices = self.centers_um[:, None] + radii_um[..., None] * _directions(RAYS)
        offsets = np.arange(n + 1, dtype=np.int64) * RAYS
        return Outlines(vertices.reshape(-1, 2).astype(np.float32), offsets)


@dataclass(frozen=True)
class CellDensities:
    """Mean DAB optical density of n cells in each compartment; NaN where it has no pixel."""

    nucleus: npt.NDArray[np.float32]
    cytoplasm: npt.NDArray[np.float32]
    membrane: npt.NDArray[np.float32]

    def of(self, compartment: Compartment) -> npt.NDArray[np.float32]:
        """(n,), one compartment's."""
        return {
            "nucleus": self.nucleus, "cytoplasm": self.cytoplasm, "membrane": self.membrane,
        }[compartment]  # fmt: skip


def cell_shapes(
    cells: FoundCells, ring_um: float = RING_UM, membrane_um: float = MEMBRANE_UM
) -> CellShapes:
    """Borders of cells around their nuclei.

    A border depends on the cells whose centre lies within the two nuclei's radii and twice
    `ring_um`: give those around the place in question, too.

    Parameters
    ----------
    cells
        n cells with outlines.
    ring_um
        How far a cell reaches beyond its nucleus where no other is near, µm.
    membrane_um
        Width of the membrane's band, µm; 0 to `ring_um`.

    Raises
    ------
    ValueError
        A width that is negative, or a band wider than the ring.
    """
    if not 0 <= membrane_um <= ring_um:
        raise ValueError(
            f"The membrane's band must be 0 µm to the ring's {ring_um:g} µm wide, but is "
            f"{membrane_um:g} µm."
        )
    nucleus_um = _radii(cells)
    border_um = np.minimum(nucleus_um + ring_um, _half_way(cells.centers_um, nucleus_um, ring_um))
    border_um = np.maximum(border_um, nucleus_um)
    return CellShapes(cells.centers_um, cells.outlines, nucleus_um, border_um, membrane_um)


def cell_densities(
    dab: npt.NDArray[np.floating], grid: PixelGrid, shapes: CellShapes
) -> CellDensities:
    """Mean DAB optical density of each cell's nucleus, cytoplasm and membrane.

    Where outlines overlap, the pixels could be either nucleus's and count for neither, unless more
    than half of a nucleus is covered.

    Parameters
    ----------
    dab
        (Y, X), `stain_densities` of the block.
    grid
        Where the block lies. Of a cell at its edge the pixels in the block count.
    shapes
        All cells in and around the block: no nucleus may be missing that is in it.
    """
    n, shape = len(shapes), (dab.shape[0], dab.shape[1])
    nuclei = crossings(shapes.nuclei, grid, shape)
    claims = filled(nuclei, np.ones(n, np.int64), shape)
    outside = claims == 0
    between = np.where(outside, dab, 0)
    inner = crossings(shapes.inner_borders, grid, shape)
    outer = crossings(shapes.borders, grid, shape)
    cytoplasm, cytoplasm_px = (sums_within(inner, image, n) for image in (between, outside))
    cell, cell_px = (sums_within(outer, image, n) for image in (between, outside))
    everywhere = np.ones(shape, np.bool_)
    whole, whole_px = (sums_within(nuclei, image, n) for image in (dab, everywhere))
    alone = claims == 1
    own, own_px = (sums_within(nuclei, image, n) for image in (np.where(alone, dab, 0), alone))
    enough = own_px >= LEAST_OWN * whole_px
    return CellDensities(
        _mean(np.where(enough, own, whole), np.where(enough, own_px, whole_px)),
        _mean(cytoplasm, cytoplasm_px),
        _mean(cell - cytoplasm, cell_px - cytoplasm_px),
    )


def membrane_sectors(
    dab: npt.NDArray[np.floating], grid: PixelGrid, shapes: CellShapes
) -> npt.NDArray[np.float32]:
    """Mean DAB optical density of the membrane in each of 24 sectors of each cell, (n, 24) float32.

    NaN where the sector lies outside of the block, or where nuclei touch and no membrane is seen.
    """
    count = RAYS * PER_SECTOR
    inner, outer = (_finer(r) for r in (shapes.inner_um, shapes.border_um))
    depth = (np.arange(DEEP) + 0.5) / DEEP
    radii = inner[..., None] + (outer - inner)[..., None] * depth
    shift, first = lattice_of(grid)
    x0, y0 = (shapes.centers_um[:, axis, None, None] / grid.mpp for axis in (0, 1))
    cos, sin = (part[:, None] for part in _directions(count, first=-(PER_SECTOR // 2)).T)
    column = np.floor(x0 + radii * cos / grid.mpp - shift[1]).astype(np.int64) - first[1]
    row = np.floor(y0 + radii * sin / grid.mpp - shift[0]).astype(np.int64) - first[0]
    seen = (row >= 0) & (row < dab.shape[0]) & (column >= 0) & (column < dab.shape[1])
    seen &= (outer - inner >= LEAST_BAND_UM)[..., None]
    values = np.zeros(seen.shape)
    values[seen] = dab[row[seen], column[seen]]
    parts = (len(shapes), RAYS, PER_SECTOR * DEEP)
    return _mean(values.reshape(parts).sum(axis=2), seen.reshape(parts).sum(axis=2))


def _mean(total: FloatArray, count: npt.NDArray) -> npt.NDArray[np.float32]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0.5, total / count, np.nan).astype(np.float32)


def _directions(count: int, first: int = 0) -> npt.NDArray[np.float64]:
    """(count, 2) unit vectors (x, y) of evenly spaced rays."""
    angles = (np.arange(count) + first) * (2 * np.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _finer(radii: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, RAYS · PER_SECTOR), the rays of each sector around its middle one."""
    steps = np.arange(PER_SECTOR) - PER_SECTOR // 2
    share = np.abs(steps) / PER_SECTOR
    beside = np.stack([np.roll(radii, -int(np.sign(s)), axis=1) for s in steps], axis=2)
    return (radii[..., None] * (1 - share) + beside * share).reshape(len(radii), RAYS * PER_SECTOR)


def _radii(cells: FoundCells) -> npt.NDArray[np.float64]:
    """Distance of each outline from its cell's centre along each ray, (n, RAYS) µm."""
    lengths = np.diff(cells.outlines.offsets)
    owner = np.repeat(np.arange(len(cells)), lengths)
    start = cells.outlines.vertices_um.astype(np.float64) - cells.centers_um[owner]
    following = np.arange(1, len(start) + 1)
    some = lengths > 0
    following[cells.outlines.offsets[1:][some] - 1] = cells.outlines.offsets[:-1][some]
    end = start[following]
    first = np.arctan2(start[:, 1], start[:, 0])
    turned = np.arctan2(_cross(start, end), (start * end).sum(axis=1))
    low = np.ceil(np.minimum(first, first + turned) / _TURN).astype(np.int64)
    high = np.ceil(np.maximum(first, first + turned) / _TURN).astype(np.int64)
    count = high - low
    edge = np.repeat(np.arange(len(start)), count)
    ray = low[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    along = (end - start)[edge]
    slant = _cross(_directions(RAYS)[ray % RAYS], along)
    # An edge that runs along its ray ends there.
    flat = np.abs(slant) < 1e-9
    away = np.where(flat, 0, _cross(start[edge], along) / np.where(flat, 1, slant))
    radii = np.zeros((len(cells), RAYS))
    np.maximum.at(radii, (owner[edge], ray % RAYS), away)
    # A ray that meets no edge (an outline that leaves its centre out) takes the round nucleus's.
    round_um = np.sqrt(np.maximum(cells.areas_um2, 0) / np.pi)[:, None]
    return np.where(radii > 0, radii, round_um)


def _cross(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _half_way(
    centers_um: npt.NDArray[np.float64], nucleus_um: npt.NDArray[np.float64], ring_um: float
) -> npt.NDArray[np.float64]:
    """Distance at which each ray comes as near to another nucleus as to its own, (n, RAYS) µm."""
    limit = np.full(nucleus_um.shape, np.inf)
    if len(centers_um) < 2 or ring_um == 0:
        return limit
    largest = nucleus_um.max(axis=1)
    near = cKDTree(centers_um).query_pairs(2 * (largest.max() + ring_um), output_type="ndarray")
    pairs = np.concatenate([near, near[:, ::-1]])
    away = centers_um[pairs[:, 1]] - centers_um[pairs[:, 0]]
    distance = np.hypot(*away.T)
    close = np.flatnonzero(
        (distance < largest[pairs].sum(axis=1) + 2 * ring_um) & (distance > 1e-6)
    )
    close = close[np.argsort(pairs[close, 0], kind="stable")]
    (own_of, other_of), away, distance = pairs[close].T, away[close], distance[close]
    if len(close) == 0:
        return limit
    ray = np.rint(np.arctan2(away[:, 1], away[:, 0]) / _TURN).astype(np.int64)
    own, other = nucleus_um[own_of, ray % RAYS], nucleus_um[other_of, (ray + RAYS // 2) % RAYS]
    # Points s along a ray with s − own = |point − other centre| − other lie on a hyperbola.
    gap = own - other
    cos, sin = _directions(RAYS).T.astype(np.float32)
    # Not as a matrix product, whose last bits depend on how many cells are given.
    away = away.astype(np.float32)
    slope = away[:, :1] * cos + away[:, 1:] * sin - gap[:, None].astype(np.float32)
    slope[slope <= 0] = np.nan
    reach = ((distance**2 - gap**2) / 2).astype(np.float32)[:, None] / slope
    first = np.flatnonzero(np.diff(own_of, prepend=-1))
    limit[own_of[first]] = np.fmin.reduceat(reach, first, axis=0)
    return np.where(np.isnan(limit), np.inf, limit)

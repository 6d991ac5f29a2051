"""Where every nucleus lies, of which kind it is, and its shape: a table, no pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from napari_past.sample.anatomy import Anatomy, Gland

EPITHELIAL, FIBROBLAST, LYMPHOCYTE = "epithelial", "fibroblast", "lymphocyte"

Points = npt.NDArray[np.float64]
AngleAt = Callable[[Points], Points]
"""Fibre direction in radians (n,) at points (n, 2), (x, y) in µm."""

ROW_SPACING_UM = 8.2
FIRST_ROW_UM = 6.2
ROW_DEPTH_UM = 8.6
FIBROBLASTS_PER_MM2 = 620.0
STRAY_LYMPHOCYTES_PER_MM2 = 60.0


@dataclass(frozen=True)
class Nuclei:
    """n ellipses, bent and wobbled when they are drawn."""

    centers_um: Points
    """(n, 2), (x, y) in slide space."""
    kinds: npt.NDArray[np.str_]
    """(n,), "epithelial", "fibroblast" or "lymphocyte"."""
    long_um: Points
    """(n,), semi-axis along `angle`."""
    short_um: Points
    """(n,), semi-axis across it."""
    angle: Points
    """(n,), radians from +x towards +y."""

    def __len__(self) -> int:
        return len(self.centers_um)

    @property
    def radii_um(self) -> Points:
        """(n,), radius of the circle of the same area."""
        return np.sqrt(self.long_um * self.short_um)

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Nuclei:
        return Nuclei(
            self.centers_um[index],
            self.kinds[index],
            self.long_um[index],
            self.short_um[index],
            self.angle[index],
        )


def place_nuclei(rng: np.random.Generator, anatomy: Anatomy, fibre_angle: AngleAt) -> Nuclei:
    """All nuclei of the phantom, none much over another, each centre inside the frame."""
    epithelium = shapely.union_all([g.outline_um for g in anatomy.glands])
    lumina = shapely.union_all([v.lumen_um for v in anatomy.vessels])
    stroma = anatomy.tissue.buffer(-3).difference(epithelium.buffer(3.4)).difference(lumina)
    shapely.prepare(stroma)
    groups = [_epithelial(rng, gland) for gland in anatomy.glands]
    groups += [_endothelial(rng, anatomy), _lymphocytes(rng, anatomy, stroma)]
    groups.append(_fibroblasts(rng, stroma, fibre_angle))
    nuclei = _joined(groups)
    x, y = nuclei.centers_um.T
    inside = (x > 0) & (x < anatomy.width_um) & (y > 0) & (y < anatomy.height_um)
    nuclei = nuclei.take(inside)
    return nuclei.take(_apart(nuclei))


def _joined(groups: list[Nuclei]) -> Nuclei:
    return Nuclei(
        np.concatenate([g.centers_um for g in groups]).reshape(-1, 2),
        np.concatenate([g.kinds for g in groups]).astype("<U10"),
        np.concatenate([g.long_um for g in groups]),
        np.concatenate([g.short_um for g in groups]),
        np.concatenate([g.angle for g in groups]),
    )


def _table(
    kind: str, centers_um: Points, long_um: Points, short_um: Points, angle: Points
) -> Nuclei:
    kinds = np.full(len(centers_um), kind, dtype="<U10")
    return Nuclei(centers_um.reshape(-1, 2), kinds, long_um, short_um, angle)


def _apart(nuclei: Nuclei) -> npt.NDArray[np.bool_]:
    """Which nuclei stay when each must keep clear of those before it in the table, (n,)."""
    # Epithelial neighbours lie side by side, short axis to short axis; spindles lie at any angle.
    reach = np.where(
        nuclei.kinds == FIBROBLAST, 0.85 * nuclei.long_um, 0.5 * (nuclei.short_um + nuclei.radii_um)
    )
    pairs = cKDTree(nuclei.centers_um).query_pairs(
        2 * reach.max(initial=1.0), output_type="ndarray"
    )
    distance = np.linalg.norm(np.diff(nuclei.centers_um[pairs], axis=1)[:, 0], axis=1)
    pairs = np.sort(pairs[distance < reach[pairs].sum(axis=1)], axis=1)
    keep = np.ones(len(nuclei), dtype=bool)
    for earlier, later in pairs[np.lexsort(pairs.T)]:
        if keep[earlier]:
            keep[later] = False
    return keep


def _epithelial(rng: np.random.Generator, gland: Gland) -> Nuclei:
    """Rows of oval nuclei that stand on the gland's base; a nest without a lumen is filled."""
    centers: list[Points] = []
    angles: list[Points] = []
    deepest_um = gland.epithelium_um - 7.0
    depth_um, row = FIRST_ROW_UM, 0
    core = gland.outline_um.buffer(-gland.epithelium_um - 3.0)
    while core.is_empty or depth_um < deepest_um:
        rings = shapely.get_parts(gland.outline_um.buffer(-depth_um))
        rings = [r for r in rings if not r.is_empty and r.exterior.length > 12]
        if not rings:
            break
        for ring in rings:
            points, normals = _along(rng, ring.exterior)
            # The first row is complete; in the second, runs of nuclei are stratified.
            if row > 0 and not core.is_empty:
                phase = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
                runs = np.cos(rng.integers(2, 5) * phase + rng.uniform(0, 2 * np.pi))
                chosen = runs + rng.normal(0, 0.6, len(points)) > 0.5
                points, normals = points[chosen], normals[chosen]
            centers.append(points)
            angles.append(normals)
        depth_um, row = depth_um + ROW_DEPTH_UM, row + 1
    points = np.concatenate(centers or [np.zeros((0, 2))])
    n = len(points)
    radius = rng.uniform(3.5, 4.5, n)
    slender = rng.uniform(1.08, 1.5, n)
    points = points + rng.normal(0, 0.7, (n, 2))
    turn = rng.normal(0, 0.25 if not core.is_empty else 0.8, n)
    angle = np.concatenate(angles or [np.zeros(0)]) + turn
    return _table(EPITHELIAL, points, radius * np.sqrt(slender), radius / np.sqrt(slender), angle)


def _along(rng: np.random.Generator, ring: shapely.LinearRing) -> tuple[Points, Points]:
    """Points (n, 2) along a ring at about the row spacing, and the angles (n,) of its normals."""
    n = max(1, int(ring.length / ROW_SPACING_UM))
    steps = (np.arange(n) + rng.uniform(-0.16, 0.16, n)) / n * ring.length

    def at(shift: float) -> Points:
        return shapely.get_coordinates(
            shapely.line_interpolate_point(ring, (steps + shift) % ring.length)
        )

    along = at(2.0) - at(-2.0)
    return at(0.0), np.arctan2(along[:, 1], along[:, 0]) + np.pi / 2


def _endothelial(rng: np.random.Generator, anatomy: Anatomy) -> Nuclei:
    """Flat nuclei on the walls of vessels; counted as fibroblasts, which they resemble."""
    centers: list[Points] = []
    angles: list[Points] = []
    for vessel in anatomy.vessels:
        wall = vessel.lumen_um.buffer(1.6).exterior
        n = max(2, int(wall.length / 24))
        steps = (np.arange(n) + rng.uniform(-0.3, 0.3, n)) / n * wall.length % wall.length
        here = shapely.get_coordinates(shapely.line_interpolate_point(wall, steps))
        there = shapely.get_coordinates(
            shapely.line_interpolate_point(wall, (steps + 1.0) % wall.length)
        )
        centers.append(here)
        angles.append(np.arctan2(*(there - here).T[::-1]))
    points = np.concatenate(centers or [np.zeros((0, 2))])
    n = len(points)
    return _table(
        FIBROBLAST,
        points,
        rng.uniform(3.8, 5.0, n),
        rng.uniform(1.2, 1.6, n),
        np.concatenate(angles or [np.zeros(0)]),
    )


def _lymphocytes(rng: np.random.Generator, anatomy: Anatomy, stroma: shapely.Geometry) -> Nuclei:
    """Round nuclei in clouds, and a few strays everywhere in the stroma."""
    clouds = [_scattered(rng, stroma, STRAY_LYMPHOCYTES_PER_MM2)]
    for focus in anatomy.foci:
        local = rng.normal(size=(focus.cells, 2)) * (focus.long_um, focus.short_um)
        c, s = np.cos(focus.angle), np.sin(focus.angle)
        clouds.append(local @ np.array([[c, s], [-s, c]]) + (focus.x_um, focus.y_um))
    points = np.concatenate(clouds)
    points = points[shapely.contains_xy(stroma, points[:, 0], points[:, 1])]
    n = len(points)
    radius = rng.normal(3.0, 0.22, n).clip(2.5, 3.5)
    slender = rng.uniform(1.0, 1.12, n)
    return _table(LYMPHOCYTE, points, radius * slender, radius / slender, rng.uniform(0, np.pi, n))


def _fibroblasts(
    rng: np.random.Generator, stroma: shapely.Geometry, fibre_angle: AngleAt
) -> Nuclei:
    """Spindles along the fibres, about 10 x 3 µm."""
    points = _scattered(rng, stroma, FIBROBLASTS_PER_MM2)
    n = len(points)
    return _table(
        FIBROBLAST,
        points,
        rng.normal(5.2, 0.8, n).clip(3.4, 7.5),
        rng.normal(1.6, 0.22, n).clip(1.2, 2.3),
        fibre_angle(points) + rng.normal(0, 0.12, n),
    )


def _scattered(rng: np.random.Generator, shape: shapely.Geometry, per_mm2: float) -> Points:
    """Uniform points inside a shape, about `per_mm2` of its area, (n, 2)."""
    if shape.is_empty:
        return np.zeros((0, 2))
    x0, y0, x1, y1 = shape.bounds
    n = int(np.ceil(per_mm2 * (x1 - x0) * (y1 - y0) / 1e6))
    points = rng.uniform((x0, y0), (x1, y1), (n, 2))
    return points[shapely.contains_xy(shape, points[:, 0], points[:, 1])]

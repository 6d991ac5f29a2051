"""Where things lie on the phantom: outlines of tissue, glands, vessels, pen and blur, all in µm.

Shapes only; `nuclei` puts cells into them and `background` paints what lies between the cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely import affinity

from napari_past.sample.raster import inside_mask

Points = npt.NDArray[np.float64]

TISSUE_FRACTION = 0.66
GLAND_FRACTION = 0.31
"""Of the tissue; the rest is stroma, as in a moderately differentiated adenocarcinoma."""
GLAND_GAP_UM = 16.0
GLAND_RADIUS_UM = (24.0, 76.0)
PACKING_UM = 3.0
"""Pixel of the map of free tissue that glands are packed into."""
VESSELS_PER_MM2 = 5.0
FOCI_PER_MM2 = 7.0


@dataclass(frozen=True)
class Gland:
    """A closed epithelial ring, or a solid nest where it is too small for a lumen."""

    outline_um: shapely.Polygon
    epithelium_um: float
    """Height of the epithelium; a lumen is whatever lies deeper."""


@dataclass(frozen=True)
class Vessel:
    """A capillary or venule, an ellipse."""

    x_um: float
    y_um: float
    long_um: float
    """Semi-axes of the lumen."""
    short_um: float
    angle: float
    """Of the long axis, radians from +x towards +y."""

    @property
    def lumen_um(self) -> shapely.Polygon:
        return _ellipse(self.x_um, self.y_um, self.long_um, self.short_um, self.angle)


@dataclass(frozen=True)
class Focus:
    """A cluster of lymphocytes: a Gaussian cloud."""

    x_um: float
    y_um: float
    long_um: float
    """Standard deviations."""
    short_um: float
    angle: float
    cells: int
    """That try to settle; those without room do not."""


@dataclass(frozen=True)
class Anatomy:
    """The plan of one phantom; everything (x, y) in µm of slide space."""

    width_um: float
    height_um: float
    tissue: shapely.Polygon | shapely.MultiPolygon
    glands: tuple[Gland, ...]
    vessels: tuple[Vessel, ...]
    foci: tuple[Focus, ...]
    pen: shapely.Polygon | shapely.MultiPolygon
    blur: shapely.Polygon | shapely.MultiPolygon


def plan_anatomy(rng: np.random.Generator, width_um: float, height_um: float) -> Anatomy:
    """An arrangement for a frame of `width_um` x `height_um`; every part is there at any size."""
    frame = shapely.box(0, 0, width_um, height_um)
    tissue = _tissue(rng, width_um, height_um, frame)
    glands = _glands(rng, tissue, min(width_um, height_um))
    epithelium = shapely.union_all([g.outline_um for g in glands])
    stroma = tissue.buffer(-12).difference(epithelium.buffer(12))
    vessels = _vessels(rng, stroma)
    foci = _foci(rng, stroma)
    return Anatomy(
        width_um,
        height_um,
        tissue,
        glands,
        vessels,
        foci,
        _pen(rng, tissue, frame),
        _blur(glands, width_um, height_um).intersection(frame),
    )


def _wobbly_ring(
    rng: np.random.Generator, wobble: float, harmonics: range, n: int
) -> tuple[Points, Points]:
    """Angles (n,) and radii (n,) around 1 of a closed irregular contour."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = np.ones(n)
    for k in harmonics:
        radius += wobble / k * rng.normal() * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return angle, np.maximum(radius, 0.4)


def _largest(shape: shapely.Geometry) -> shapely.Polygon:
    parts = [p for p in shapely.get_parts(shape) if isinstance(p, shapely.Polygon)]
    return max(parts, key=lambda p: p.area)


def _tissue(
    rng: np.random.Generator, width_um: float, height_um: float, frame: shapely.Polygon
) -> shapely.Polygon | shapely.MultiPolygon:
    angle, radius = _wobbly_ring(rng, 0.16, range(2, 14), 400)
    # A superellipse of power 2.6 fills a rectangular frame better than an ellipse does.
    flat = (np.abs(np.cos(angle)) ** 2.6 + np.abs(np.sin(angle)) ** 2.6) ** (-1 / 2.6)
    x = flat * radius * np.cos(angle) * width_um / 2
    y = flat * radius * np.sin(angle) * height_um / 2
    outline = _largest(shapely.Polygon(np.stack([x, y], axis=1)).buffer(0))
    low, high = 0.2, 2.0
    for _ in range(24):
        scale = (low + high) / 2
        shape = affinity.translate(
            affinity.scale(outline, scale, scale, origin=(0, 0)), width_um / 2, height_um / 2
        ).intersection(frame)
        low, high = (scale, high) if shape.area < TISSUE_FRACTION * frame.area else (low, scale)
    return shape


def _glands(
    rng: np.random.Generator, tissue: shapely.Geometry, side_um: float
) -> tuple[Gland, ...]:
    """Irregular contours packed into the tissue, large ones first, in a few tumour fields."""
    inner = tissue.buffer(-min(22.0, 0.06 * side_um))
    x0, y0, x1, y1 = inner.bounds
    shape = (math.ceil(y1 / PACKING_UM) + 1, math.ceil(x1 / PACKING_UM) + 1)
    free = inside_mask(inner, shape, PACKING_UM)

    def fits(contour_um: Points) -> bool:
        columns, rows = (contour_um / PACKING_UM).astype(np.int64).T
        if (
            columns.min() < 0
            or rows.min() < 0
            or columns.max() >= shape[1]
            or rows.max() >= shape[0]
        ):
            return False
        return bool(free[rows, columns].all())

    waves = [(rng.normal(0, 1 / 170, 2), rng.uniform(0, 2 * np.pi)) for _ in range(4)]
    smallest, largest = (min(r, 0.2 * side_um) for r in GLAND_RADIUS_UM)
    # Attempts go from large to small: what is left between large glands is filled by small ones.
    radii = smallest + (largest - smallest) * np.linspace(1, 0, 3000) ** 1.3
    glands: list[Gland] = []
    area, wanted = 0.0, GLAND_FRACTION * tissue.area
    for radius_um in radii:
        if area >= wanted:
            break
        centre = rng.uniform((x0, y0), (x1, y1))
        field = sum(math.cos(k @ centre + p) for k, p in waves)
        if glands and field < -0.3 + rng.normal(0, 0.4):
            continue
        contour = centre + radius_um * _gland_contour(rng)
        # Smoothing is the costly step, so most attempts fail before it.
        if not (fits(contour) and fits(centre[None])):
            continue
        outline = _rounded(contour)
        if not fits(shapely.get_coordinates(outline)):
            continue
        free &= ~inside_mask(outline.buffer(GLAND_GAP_UM), shape, PACKING_UM)
        glands.append(Gland(outline, float(rng.uniform(21, 32))))
        area += outline.area
    if not glands:
        middle = inner.representative_point()
        room = 0.8 * inner.exterior.distance(middle) if hasattr(inner, "exterior") else smallest
        glands.append(Gland(middle.buffer(min(smallest, max(room, 6.0))), 20.0))
    return tuple(glands)


def _gland_contour(rng: np.random.Generator) -> Points:
    """A closed irregular contour (n, 2) around (0, 0), of radius about 1."""
    angle, radius = _wobbly_ring(rng, 0.30, range(2, 9), 160)
    stretch, turn = rng.uniform(1.0, 1.45), rng.uniform(0, np.pi)
    ring = np.stack([radius * np.cos(angle) * stretch, radius * np.sin(angle) / stretch], axis=1)
    return ring @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def _rounded(contour_um: Points) -> shapely.Polygon:
    """The contour opened and closed by some µm: an epithelium cannot turn on a spot."""
    outline = shapely.Polygon(contour_um).buffer(0)
    rounded = outline.buffer(-7).buffer(12).buffer(-5)
    outline = _largest(rounded if not rounded.is_empty else outline)
    return shapely.Polygon(outline.exterior)


def _vessels(rng: np.random.Generator, stroma: shapely.Geometry) -> tuple[Vessel, ...]:
    wanted = max(1, round(VESSELS_PER_MM2 * stroma.area / 1e6))
    vessels: list[Vessel] = []
    for _ in range(400):
        if len(vessels) == wanted or stroma.is_empty:
            break
        x, y = _point_in(rng, stroma)
        vessel = Vessel(x, y, rng.uniform(9, 26), rng.uniform(6, 11), rng.uniform(0, np.pi))
        apart = all(math.hypot(x - v.x_um, y - v.y_um) > 90 for v in vessels)
        if apart and stroma.contains(vessel.lumen_um.buffer(4)):
            vessels.append(vessel)
    return tuple(vessels)


def _foci(rng: np.random.Generator, stroma: shapely.Geometry) -> tuple[Focus, ...]:
    if stroma.is_empty:
        return ()
    foci: list[Focus] = []
    for _ in range(max(1, round(FOCI_PER_MM2 * stroma.area / 1e6))):
        x, y = _point_in(rng, stroma)
        short = rng.uniform(13, 26)
        foci.append(
            Focus(
                x,
                y,
                short * rng.uniform(1.2, 2.6),
                short,
                rng.uniform(0, np.pi),
                int(rng.integers(190, 380)),
            )
        )
    return tuple(foci)


def _pen(
    rng: np.random.Generator, tissue: shapely.Geometry, frame: shapely.Polygon
) -> shapely.Polygon | shapely.MultiPolygon:
    """A felt-pen stroke along the upper right edge, half on glass and half on tissue."""
    side_um = min(frame.bounds[2:])
    edge = _largest(tissue).exterior
    start = edge.project(shapely.Point(frame.bounds[2] * 0.66, 0))
    end = edge.project(shapely.Point(frame.bounds[2] * 0.93, frame.bounds[3] * 0.30))
    along = np.linspace(start, end, 24)
    points = shapely.get_coordinates(shapely.line_interpolate_point(edge, along % edge.length))
    centre = np.array(frame.centroid.coords[0])
    outward = points - centre
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    points += outward * 0.012 * side_um + rng.normal(0, 0.006 * side_um, points.shape)
    for _ in range(3):
        points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    stroke = shapely.LineString(points)
    return stroke.buffer(min(30.0, 0.05 * side_um)).intersection(frame)


def _blur(glands: tuple[Gland, ...], width_um: float, height_um: float) -> shapely.Polygon:
    """A patch out of focus at the gland nearest to the lower left, so that it holds nuclei."""
    corner = shapely.Point(0.26 * width_um, 0.70 * height_um)
    gland = min(glands, key=lambda g: g.outline_um.distance(corner))
    spot = gland.outline_um.centroid
    radius_um = min(105.0, 0.15 * min(width_um, height_um))
    return _ellipse(spot.x, spot.y, 1.3 * radius_um, radius_um, 0.4)


def _ellipse(x: float, y: float, long: float, short: float, angle: float) -> shapely.Polygon:
    circle = affinity.scale(shapely.Point(0, 0).buffer(1, quad_segs=16), long, short)
    return affinity.translate(affinity.rotate(circle, angle, (0, 0), use_radians=True), x, y)


def _point_in(rng: np.random.Generator, shape: shapely.Geometry) -> tuple[float, float]:
    x0, y0, x1, y1 = shape.bounds
    for _ in range(200):
        x, y = float(rng.uniform(x0, x1)), float(rng.uniform(y0, y1))
        if shapely.contains_xy(shape, x, y):
            return x, y
    point = shape.representative_point()
    return point.x, point.y

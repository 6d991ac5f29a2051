"""Outlines around known centres: the closed path of steepest descent across rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.cells.radial_symmetry import Field
from napari_past.types import FloatArray

RAYS = 24
"""Vertices of an outline."""
_ANGLES = np.arange(RAYS) * (2 * np.pi / RAYS)
_SIN, _COS = np.sin(_ANGLES), np.cos(_ANGLES)


@dataclass(frozen=True)
class Rays:
    """Where an outline may lie. Lengths are in µm."""

    shortest_um: float = 1.5
    longest_um: float = 9.0
    step_um: float = 0.5
    """Radii are multiples of it; neighbouring rays differ by one step at most."""
    bend: float = 0.005
    """Price of such a step, in levels per µm."""
    rise: float = 0.1
    """Price of getting darker again along a ray: the next nucleus has begun."""
    least_fall: float = 0.02
    """What counts as an edge, in levels per µm."""
    ring_um: float = 1.5
    """How far outside of the outline its surroundings are looked at."""


@dataclass(frozen=True)
class StarOutlines:
    """Outlines that each ray from the centre crosses once, n of them."""

    radii_px: npt.NDArray[np.float64]
    """(n, RAYS), anticlockwise from the x axis, y downwards."""
    support: npt.NDArray[np.float64]
    """(n,) share of the rays along which the level falls at the outline."""
    contrast: npt.NDArray[np.float64]
    """(n,) mean level inside minus that of the surroundings."""

    def take(self, index: npt.NDArray[np.intp]) -> StarOutlines:
        """The chosen outlines, in that order."""
        return StarOutlines(self.radii_px[index], self.support[index], self.contrast[index])

    @property
    def vertices_px(self) -> npt.NDArray[np.float64]:
        """(n, RAYS, 2), (y, x) from the centre."""
        return np.stack([self.radii_px * _SIN, self.radii_px * _COS], axis=-1)

    @property
    def areas_px(self) -> npt.NDArray[np.float64]:
        """(n,), area of each polygon."""
        triangles = self.radii_px * np.roll(self.radii_px, -1, axis=1)
        return np.asarray(triangles.sum(axis=1) * (np.sin(2 * np.pi / RAYS) / 2))

    @property
    def centroids_px(self) -> npt.NDArray[np.float64]:
        """(n, 2), (y, x) of each polygon's centroid from the centre."""
        vertices = self.vertices_px
        triangles = self.radii_px * np.roll(self.radii_px, -1, axis=1)
        middles = (vertices + np.roll(vertices, -1, axis=1)) / 3
        weighted = (middles * triangles[..., None]).sum(axis=1)
        return np.asarray(weighted / triangles.sum(axis=1)[:, None])


def star_outlines(
    level: Field,
    slopes: tuple[Field, Field],
    pixels: npt.NDArray[np.intp],
    shifts: npt.NDArray[np.float64],
    mpp: float,
    rays: Rays,
) -> StarOutlines:
    """The outline around each centre ``pixels + shifts``, both (n, 2), (y, x).

    Dynamic programming over the rays finds the closed path with the steepest fall of `level`
    outwards. Whole pixels and the rest are apart so that the answer is the same in every block.
    """
    steps_px = np.arange(rays.shortest_um, rays.longest_um + rays.step_um / 2, rays.step_um) / mpp
    y = _along(pixels[:, 0], shifts[:, 0], _SIN, steps_px, level.shape[0])
    x = _along(pixels[:, 1], shifts[:, 1], _COS, steps_px, level.shape[1])
    place = y * level.shape[1] + x
    sin, cos = _SIN[:, None].astype(np.float32), _COS[:, None].astype(np.float32)
    fall = -(slopes[0].ravel()[place] * sin + slopes[1].ravel()[place] * cos)
    along = level.ravel()[place]
    risen = np.cumsum(np.maximum(-fall, 0), axis=2)
    path = _closed_path(fall - rays.rise * risen, rays.bend)
    at, last = path[..., None], len(steps_px) - 1
    shorter, here, longer = (
        np.take_along_axis(fall, np.clip(at + side, 0, last), axis=2)[..., 0] for side in (-1, 0, 1)
    )
    radii_px = steps_px[path] + parabola_top(shorter, here, longer) * (rays.step_um / mpp)
    weights = np.where(np.arange(len(steps_px)) < path[..., None], steps_px, 0)
    inside = (along * weights).sum(axis=(1, 2)) / np.maximum(weights.sum(axis=(1, 2)), 1e-6)
    ring = np.minimum(path + round(rays.ring_um / rays.step_um), len(steps_px) - 1)
    outside = np.take_along_axis(along, ring[..., None], axis=2)[..., 0].mean(axis=1)
    return StarOutlines(radii_px, (here > rays.least_fall).mean(axis=1), inside - outside)


def parabola_top(before: FloatArray, at: FloatArray, after: FloatArray) -> FloatArray:
    """Where the parabola through three neighbours is highest, within half a step of the middle."""
    bend = np.minimum(before + after - 2.0 * at.astype(np.float64), -1e-9)
    return np.asarray(np.clip((before - after) / (2 * bend), -0.5, 0.5))


def _along(
    pixels: npt.NDArray[np.intp],
    shifts: npt.NDArray[np.float64],
    direction: npt.NDArray[np.float64],
    steps_px: npt.NDArray[np.float64],
    size: int,
) -> npt.NDArray[np.intp]:
    """Row or column (n, RAYS, steps) of the pixel nearest to each step along each ray."""
    offsets = shifts[:, None, None] + direction[:, None] * steps_px
    return np.clip(pixels[:, None, None] + np.rint(offsets).astype(np.intp), 0, size - 1)


def _closed_path(gain: Field, bend: float) -> npt.NDArray[np.intp]:
    """Step (n, RAYS) on each ray of the path with the greatest `gain` (n, RAYS, steps).

    Two turns are walked and the middle one is taken, where start and end are forgotten.
    """
    n, _, steps = gain.shape
    total = gain[:, 0].copy()
    moves = np.zeros((2 * RAYS, n, steps), np.int8)
    for turn in range(1, 2 * RAYS):
        best = total.copy()
        from_longer, from_shorter = total[:, 1:] - bend, total[:, :-1] - bend
        moves[turn, :, :-1][from_longer > best[:, :-1]] = 1
        np.maximum(best[:, :-1], from_longer, out=best[:, :-1])
        moves[turn, :, 1:][from_shorter > best[:, 1:]] = -1
        np.maximum(best[:, 1:], from_shorter, out=best[:, 1:])
        total = best + gain[:, turn % RAYS]
    at = total.argmax(axis=1)
    path = np.zeros((n, RAYS), np.intp)
    each = np.arange(n)
    for turn in range(2 * RAYS - 1, RAYS // 2 - 1, -1):
        if turn < RAYS // 2 + RAYS:
            path[:, turn % RAYS] = at
        at = at + moves[turn, each, at]
    return path

"""Outlines of rays around discs and ellipses of known size."""

from __future__ import annotations

import numpy as np
import pytest

from napari_past.cells.outlines import RAYS, Rays, star_outlines
from napari_past.cells.radial_symmetry import gradient


def field(mpp: float, *ellipses: tuple[float, float, float, float]) -> np.ndarray:
    """60 x 60 µm, 0.7 inside of ellipses (y, x, half height, half width) and 0.1 outside."""
    side = round(60 / mpp)
    y, x = (np.mgrid[:side, :side] + 0.5) * mpp
    level = np.full((side, side), 0.1, np.float32)
    for y0, x0, b, a in ellipses:
        radius = np.hypot((y - y0) / b, (x - x0) / a)
        level = np.maximum(level, 0.1 + 0.6 * np.clip((1 - radius) * min(a, b) / mpp + 0.5, 0, 1))
    return level.astype(np.float32)


def around(level: np.ndarray, mpp: float, *centres_um: tuple[float, float]):
    px = np.array(centres_um) / mpp - 0.5
    whole = np.floor(px).astype(np.intp)
    return star_outlines(level, gradient(level, mpp, 0.5), whole, px - whole, mpp, Rays())


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize(
    ("b", "a"), [(4.0, 4.0), (3.0, 6.0), (7.0, 5.0)], ids=["disc", "spindle", "large"]
)
def test_area_and_centroid(mpp, b, a):
    """Found from a centre that is off by 0.7 µm both ways."""
    star = around(field(mpp, (30.0, 30.0, b, a)), mpp, (30.7, 29.3))
    assert star.radii_px.shape == (1, RAYS)
    assert RAYS <= 32
    assert star.areas_px[0] * mpp**2 == pytest.approx(np.pi * a * b, rel=0.15)
    np.testing.assert_allclose(star.centroids_px[0] * mpp, [-0.7, 0.7], atol=0.35)
    assert star.support[0] == 1
    assert star.contrast[0] > 0.4


def test_area_and_centroid_of_a_polygon_are_shapelys():
    import shapely

    star = around(field(0.5, (30.0, 30.0, 3.0, 6.0), (33.0, 22.0, 5.0, 4.0)), 0.5, (31.0, 28.0))
    polygon = shapely.Polygon(star.vertices_px[0])
    assert star.areas_px[0] == pytest.approx(polygon.area)
    np.testing.assert_allclose(star.centroids_px[0], polygon.centroid.coords[0])


def test_touching_nuclei_keep_to_themselves():
    level = field(0.5, (30.0, 26.0, 4.0, 4.0), (30.0, 34.5, 4.0, 4.0))
    star = around(level, 0.5, (30.0, 26.0), (30.0, 34.5))
    assert (star.areas_px * 0.25 < 1.3 * np.pi * 16).all()
    assert (np.abs(star.centroids_px) * 0.5 < 1).all()


def test_straight_edge_is_no_outline():
    """The rim of a stroke of ink: falls on one side alone."""
    level = np.where(np.arange(120)[:, None] < 60, 0.8, 0.1) * np.ones((1, 120))
    star = around(level.astype(np.float32), 0.5, (27.0, 30.0))
    assert star.support[0] < 0.6

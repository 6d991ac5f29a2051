"""Conversions between frames, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np

from napari_past.space import (
    image_placement,
    level0_px_from_um,
    um_from_level0_px,
    um_from_world,
    world_from_um,
)


def test_qupath_pixels_have_the_corner_as_origin():
    np.testing.assert_allclose(level0_px_from_um(np.array([[5.0, 10.0]]), 0.25), [[20, 40]])
    np.testing.assert_allclose(um_from_level0_px(np.array([[20.0, 40.0]]), 0.25), [[5, 10]])


def test_world_is_slide_space_with_axes_swapped():
    xy = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(world_from_um(xy), [[2, 1], [4, 3]])
    np.testing.assert_array_equal(um_from_world(world_from_um(xy)), xy)


def test_first_pixel_centre_lies_half_a_pixel_in():
    """napari draws pixel i at i·scale + translate; slide space has it at (i + 0.5)·mpp."""
    (scale, _), (translate, _) = image_placement(0.4)
    for i in (0, 7, 1000):
        assert np.isclose(i * scale + translate, (i + 0.5) * 0.4)

"""The monotone map: by hand."""

import numpy as np
import pytest

from napari_past.calibration.monotone import MOST_KNOTS, mapped, monotone_map

ONES = np.ones(4)


def test_ascending_points_are_met():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.1, 0.5, 0.6])
    assert monotone_map(x, y, ONES) == ((1, 0), (2, 0.1), (3, 0.5), (4, 0.6))


def test_a_step_is_one_point_at_its_middle():
    # 2 and 3 violate the order: pooled to 0.3 at 2.5.
    knots = monotone_map(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.4, 0.2, 0.6]), ONES)
    assert np.allclose(knots, [(1, 0), (2.5, 0.3), (4, 0.6)])
    assert mapped(knots, [0, 1.75, 2.5, 9]) == pytest.approx([0, 0.15, 0.3, 0.6])


def test_weights_and_ties():
    # Two at x = 2 (weights 1 and 3) are 0.4 together; heavier than x = 3, which they meet at 0.35.
    x, y = np.array([1.0, 2.0, 2.0, 3.0]), np.array([0.0, 0.1, 0.5, 0.15])
    knots = monotone_map(x, y, np.array([1.0, 1.0, 3.0, 1.0]))
    assert np.allclose(knots, [(1, 0), (2.2, 0.35), (3, 0.35)])


def test_no_order_is_left_of_what_falls():
    knots = monotone_map(np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.2, 0.1]), np.ones(3))
    assert np.allclose(knots, [(1, 0.2), (2, 0.2), (3, 0.2)])


def test_many_cells_have_few_knots_and_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 1, 20_000)
    y = x + rng.normal(0, 0.01, len(x))
    knots = monotone_map(x, y, np.ones(len(x)))
    assert 20 < len(knots) <= MOST_KNOTS + 2
    places = np.linspace(0.01, 0.99, 50)
    assert mapped(knots, places) == pytest.approx(places, abs=0.01)
    order = rng.permutation(len(x))
    assert np.allclose(monotone_map(x[order], y[order], np.ones(len(x))), knots, atol=1e-12)

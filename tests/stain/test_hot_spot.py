import math

import numpy as np
import pytest
import shapely

from napari_past.stain import hot_spot, score_table
from napari_past.types import Cutoffs, Region

RADIUS_UM = 1000 * math.sqrt(0.25 / math.pi)


def blob(rng, x, y, n, spread=100.0):
    return rng.uniform(-spread, spread, (n, 2)) + (x, y)


def tissue(seed=0):
    """A field with 10 % positive cells, one place with 60 % and one with more cells."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(0, 4000, (12_000, 2))
    found = (rng.random(12_000) < 0.1).astype(np.int8)
    hot = np.hypot(centers[:, 0] - 1000, centers[:, 1] - 3000) < 300
    found[hot] = rng.random(hot.sum()) < 0.6
    crowd = blob(rng, 3000, 1000, 1500, 250.0)
    classes = (rng.random(1500) < 0.2).astype(np.int8)
    return np.concatenate([centers, crowd]), np.concatenate([found, 3 * classes])


def test_the_planted_place_is_found():
    centers, found = tissue()
    spot = hot_spot(found, centers, least_cells=100)
    assert math.dist(spot.center_um, (1000, 3000)) < 120
    assert 50 < spot.pct_positive < 75
    assert spot.area_mm2 == 0.25
    assert spot.region.polygon_um.area == pytest.approx(0.25e6, rel=1e-3)
    by_density = hot_spot(found, centers, least_cells=100, by="density")
    assert math.dist(by_density.center_um, (3000, 1000)) < 120
    assert by_density.density_mm2 == by_density.positive / 0.25


def test_no_other_place_of_its_grid_is_hotter():
    """Against counting every circle, cell by cell."""
    rng = np.random.default_rng(3)
    centers, found = rng.uniform(0, 1500, (900, 2)), rng.integers(0, 4, 900)
    spot = hot_spot(found, centers, least_cells=60)
    step = RADIUS_UM / 12
    places = (np.stack(np.meshgrid(np.arange(64), np.arange(64)), -1).reshape(-1, 2) + 0.5) * step
    best = 0.0
    for place in places[(places < 1500).all(axis=1)]:
        near = np.hypot(*(centers - place).T) <= RADIUS_UM
        if near.sum() >= 60:
            best = max(best, 100 * (found[near] > 0).mean())
    assert spot.pct_positive == pytest.approx(best)


def test_scoring_its_region_gives_the_same_counts():
    centers, found = tissue()
    tumour = Region("A", "Tumour", shapely.box(0, 0, 4000, 4000))
    spot = hot_spot(found, centers, least_cells=300, within=tumour)
    (row,) = score_table(found, centers, Cutoffs(1, 2, 3, "given"), [spot.region]).rows
    assert (row.n, row.positive) == (spot.n, spot.positive)
    assert (row.region, row.role) == ("Hot spot of A", "Tumour")
    assert spot.sentence == (
        f"{row.pct_positive:.1f} % of {row.n} cells in a circle of 0.25 mm² around x "
        f"{spot.center_um[0]:.0f}, y {spot.center_um[1]:.0f} µm"
    )


def test_too_few_cells_make_no_hot_spot():
    rng = np.random.default_rng(0)
    centers = np.concatenate([blob(rng, 500, 500, 99), blob(rng, 3000, 500, 100)])
    found = np.array([3] * 99 + [0] * 99 + [1])
    spot = hot_spot(found, centers, least_cells=100)
    assert (spot.n, spot.positive) == (100, 1), "the hotter place has one cell too few"
    assert hot_spot(found, centers, least_cells=101) is None
    assert hot_spot(np.zeros(0, np.int8), np.zeros((0, 2)), least_cells=1) is None


def test_cells_without_a_class_do_not_count():
    rng = np.random.default_rng(0)
    centers = blob(rng, 500, 500, 100)
    assert hot_spot(np.array([1] * 99 + [-1]), centers, least_cells=100) is None
    assert hot_spot(np.full(100, -1), centers, least_cells=1) is None


def test_of_equally_hot_places_the_larger_then_the_upper_then_the_left_one_is_taken():
    rng = np.random.default_rng(0)
    pattern = blob(rng, 0, 0, 200)
    step = RADIUS_UM / 12  # copies lie alike on the grid of places
    corners = {"upper left": (50, 50), "upper right": (200, 50), "lower left": (50, 200)}
    at = {name: np.array(corner) * step for name, corner in corners.items()}
    found = np.tile(np.arange(200) % 2, 3)
    centers = np.concatenate([pattern + place for place in at.values()])
    spot = hot_spot(found, centers, least_cells=200)
    assert math.dist(spot.center_um, at["upper left"]) < RADIUS_UM
    order = rng.permutation(600)
    again = hot_spot(found[order], centers[order], least_cells=200)
    assert again.center_um == spot.center_um
    two_more = np.concatenate([centers, blob(rng, *at["lower left"], 2, 20.0)])
    more = hot_spot(np.append(found, [0, 1]), two_more, least_cells=200)
    assert math.dist(more.center_um, at["lower left"]) < RADIUS_UM
    assert (more.n, more.pct_positive) == (202, 50.0)


def test_its_centre_lies_among_cells_and_in_the_region():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 3000)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(200, 280, (3000, 1)) + 2000
    spot = hot_spot(np.ones(3000, np.int8), ring, least_cells=10)
    assert np.hypot(*(ring - spot.center_um).T).min() < 3 * RADIUS_UM / 12, "not in the middle"
    left = Region("left", "Include", shapely.box(1000, 1000, 2000, 3000))
    inside = left.contains(ring)
    spot = hot_spot(np.ones(inside.sum(), np.int8), ring[inside], least_cells=10, within=left)
    assert spot.center_um[0] < 2000
    assert spot.region.role == "Include"


@pytest.mark.parametrize(
    "options", [{"by": "area"}, {"area_mm2": 0.0}, {"least_cells": 0}, {"area_mm2": math.nan}]
)
def test_what_is_no_question_is_refused(options):
    with pytest.raises(ValueError, match="hot spot"):
        hot_spot(np.ones(3), np.zeros((3, 2)), **{"least_cells": 1, **options})


def test_a_region_that_is_smaller_than_the_circle_has_none() -> None:
    side = np.arange(60) * 10.0 + 5
    centers = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    found = np.ones(len(centers), np.int8)
    large, small = (Region("A", "Tumour", shapely.box(0, 0, x, x)) for x in (501, 499))
    assert hot_spot(found, centers, least_cells=100, within=large) is not None
    assert hot_spot(found, centers, least_cells=100, within=small) is None

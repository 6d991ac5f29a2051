"""Density and hot spots among the cells that scores count, against hand numbers."""

import numpy as np
import pytest
import shapely

from napari_past.plugin.densities import ALL, POSITIVE, DensityRequest, find_densities
from napari_past.stain import PLAIN_GENE
from napari_past.types import IGNORE, INCLUDE, Cutoffs, Region

CUTOFFS = Cutoffs(1, 2, 3, "test")


def request(**changes) -> DensityRequest:
    fields = {
        "gene": "ERBB2",
        "model": "m",
        "cutoffs": CUTOFFS,
        "rules": PLAIN_GENE,
        "of": "",
        "hot_spots": False,
        "regions": (),
        "cells": 10_000,
    }
    return DensityRequest(**{**fields, **changes})


@pytest.fixture(scope="module")
def tissue() -> tuple[np.ndarray, np.ndarray]:
    """10,000 cells, one on every 20 µm of 2 x 2 mm; positive within 300 µm of (500, 1500)."""
    side = np.arange(100) * 20.0 + 10
    centers = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    near = np.hypot(*(centers - (500, 1500)).T) < 300
    return np.where(near, 1.5, 0.0), centers


def test_the_density_of_an_even_field_is_cells_per_area(tissue) -> None:
    found = find_densities(request(of=ALL), *tissue, None)
    assert found.map is not None
    grid, per_mm2 = found.map.grid, found.map.per_mm2
    row, column = (int((1000 - origin) / grid.mpp) for origin in (grid.y0_um, grid.x0_um))
    assert per_mm2[row, column] == pytest.approx(2500, rel=0.02)
    assert found.map_line.startswith("All counted cells per mm², up to 2,5")
    assert "Gaussian kernel, σ 100 µm" in found.map_line


def test_no_density_is_shown_where_no_cell_is_near(tissue) -> None:
    found = find_densities(request(of=POSITIVE), *tissue, None)
    assert found.map is not None
    grid, per_mm2 = found.map.grid, found.map.per_mm2
    # The tissue ends at x = 0, the positive cells at x = 200; their blur reaches farther.
    row = int((1500 - grid.y0_um) / grid.mpp)
    inside, outside = (int((x - grid.x0_um) / grid.mpp) for x in (50, -60))
    assert per_mm2[row, inside] > 0
    assert per_mm2[row, outside] == 0


def test_only_positive_cells_make_a_density_of_them(tissue) -> None:
    found = find_densities(request(of=POSITIVE), *tissue, None)
    assert found.map is not None
    assert found.map.cells == (tissue[0] > 1).sum()
    row, column = np.unravel_index(found.map.per_mm2.argmax(), found.map.per_mm2.shape)
    x = found.map.grid.x0_um + (column + 0.5) * found.map.grid.mpp
    y = found.map.grid.y0_um + (row + 0.5) * found.map.grid.mpp
    assert np.hypot(x - 500, y - 1500) < 40


def test_the_hot_spot_lies_on_the_positive_cells(tissue) -> None:
    (spot,) = find_densities(request(hot_spots=True), *tissue, None).spots
    assert np.hypot(spot.center_um[0] - 500, spot.center_um[1] - 1500) < 50
    assert spot.pct_positive == 100
    # 0.25 mm² at a cell on every 400 µm²
    assert spot.n == pytest.approx(625, abs=15)


def test_ignored_and_unscored_cells_make_no_hot_spot(tissue) -> None:
    values, centers = tissue
    fold = Region("Fold", IGNORE, shapely.box(0, 1000, 1000, 2000))
    ignored = find_densities(request(hot_spots=True, of=POSITIVE, regions=(fold,)), *tissue, None)
    assert ignored.map is None
    assert [spot.positive for spot in ignored.spots] == [0]
    blurred = find_densities(request(hot_spots=True), values, centers, values > 1)
    assert [spot.positive for spot in blurred.spots] == [0]


def test_every_region_has_its_spot_or_is_told_to_have_none(tissue) -> None:
    hot = Region("Hot", INCLUDE, shapely.box(0, 1000, 1000, 2000))
    cold = Region("Cold", INCLUDE, shapely.box(1000, 0, 2000, 1000))
    small = Region("Small", INCLUDE, shapely.box(0, 0, 100, 100))
    asked = request(hot_spots=True, regions=(cold, small, hot))
    found = find_densities(asked, *tissue, None)
    assert [spot.region.name for spot in found.spots] == ["Hot spot of Hot", "Hot spot of Cold"]
    assert found.without_spot == ("Small",)
    assert found.spot_lines[2] == ("Small: no circle of 0.25 mm² holds 100 cells with a class.")


@pytest.mark.parametrize(
    ("changes", "empty"),
    [
        ({}, True),
        ({"of": ALL}, False),
        ({"of": ALL, "cells": 0}, True),
        ({"of": POSITIVE, "cutoffs": None}, True),
        ({"of": ALL, "cutoffs": None}, False),
        ({"hot_spots": True, "cutoffs": None}, True),
        ({"hot_spots": True}, False),
    ],
)
def test_what_the_cells_cannot_have_is_not_looked_for(changes, empty) -> None:
    assert request(**changes).empty is empty


def test_equal_requests_are_equal_with_their_regions() -> None:
    def region() -> Region:
        return Region("A", INCLUDE, shapely.box(0, 0, 10, 10))

    assert request(regions=(region(),)) == request(regions=(region(),))
    assert request(regions=(region(),)) != request(regions=())

"""Holes and parts through napari's shapes, which know neither."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from napari.components import ViewerModel

from napari_past.plugin.region_rings import ring_of, same_places, same_regions
from napari_past.plugin.region_shapes import add_regions_layer, regions_of
from napari_past.space import world_from_um
from napari_past.types import INCLUDE, TUMOUR, Region

HOLED = shapely.box(0, 0, 100, 80).difference(
    shapely.union_all([shapely.box(10, 10, 30, 30), shapely.Point(70, 40).buffer(15)])
)
NESTED = shapely.union_all([HOLED, shapely.box(15, 15, 20, 20), shapely.box(120, 0, 140, 20)])


def through_napari(region: Region) -> Region:
    layer = add_regions_layer(ViewerModel())
    layer.add_polygons([world_from_um(ring_of(region))])
    features = layer.features.copy()
    features["name"], features["role"] = [region.name], [region.role]
    layer.features = features
    (found,) = regions_of(layer)
    return found


@pytest.mark.parametrize(
    "polygon", [shapely.box(0, 0, 5, 5), HOLED, NESTED], ids=["plain", "holes", "island and part"]
)
def test_the_area_is_the_same_again_and_again(polygon: shapely.Polygon) -> None:
    region = Region("A", TUMOUR, polygon)
    once = through_napari(region)
    assert same_regions((through_napari(once),), (region,))
    points = np.random.default_rng(0).uniform(-5, 145, (2000, 2))
    np.testing.assert_array_equal(once.contains(points), region.contains(points))


def test_holes_anywhere_are_kept() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        holes = [shapely.Point(*rng.uniform(5, 95, 2)).buffer(rng.uniform(2, 12)) for _ in range(6)]
        cut = shapely.LineString(rng.uniform(0, 100, (2, 2))).buffer(1)
        polygon = shapely.box(0, 0, 100, 100).difference(shapely.union_all([*holes, cut]))
        region = Region("A", TUMOUR, polygon)
        assert same_regions((through_napari(region),), (region,))


def test_other_regions_are_told_apart() -> None:
    one = Region("A", TUMOUR, HOLED)
    turned = Region("A", TUMOUR, shapely.Polygon(np.roll(HOLED.exterior.coords[:-1], 2, axis=0)))
    filled = Region("A", TUMOUR, shapely.Polygon(HOLED.exterior))
    assert same_regions((turned,), (filled,))
    assert not same_regions((one,), (filled,))
    assert not same_regions((one,), (Region("A", INCLUDE, HOLED),))
    assert not same_regions((one,), (Region("B", TUMOUR, HOLED),))
    assert not same_regions((one,), (one, one))


def test_places_are_the_same_whatever_their_names() -> None:
    one = Region("A-1", INCLUDE, shapely.Point(500, 500).buffer(300))
    rounded = shapely.transform(one.polygon_um, lambda xy: xy.astype(np.float32).astype(float))
    other = Region("B-2", TUMOUR, rounded)
    assert same_places((one,), (other,))
    assert not same_regions((one,), (other,))
    assert not same_places((one,), (Region("A-1", INCLUDE, shapely.Point(501, 500).buffer(300)),))
    assert not same_places((one,), ())

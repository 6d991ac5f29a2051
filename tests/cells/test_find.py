"""Nuclei of a slide: none lost, doubled or cut at a tile's border, whatever the resolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from PIL import Image
from scipy.spatial import cKDTree

from napari_past.cells import (
    StainLogDetector,
    cells_in,
    detector_names,
    find_cells,
    get_detector,
    register_detector,
    tiles_over,
)
from napari_past.errors import (
    MissingPixelSize,
    RegionError,
    UnknownDetector,
    UnsupportedPixels,
)
from napari_past.slide import open_slide, slide_of_array
from napari_past.types import FoundCells, Rect


def in_order(cells: FoundCells) -> FoundCells:
    return cells.take(np.lexsort(np.round(cells.centers_um, 3).T))


def assert_same(one: FoundCells, many: FoundCells) -> None:
    """The same cells: centres to 1e-6 µm, areas, and every vertex of every outline."""
    assert len(one) == len(many) > 0
    one, many = in_order(one), in_order(many)
    np.testing.assert_allclose(one.centers_um, many.centers_um, atol=1e-6, rtol=0)
    np.testing.assert_array_equal(one.areas_um2, many.areas_um2)
    np.testing.assert_array_equal(one.outlines.offsets, many.outlines.offsets)
    np.testing.assert_allclose(
        one.outlines.vertices_um, many.outlines.vertices_um, atol=1e-3, rtol=0
    )


def test_phantom_is_found(phantom, phantom_cells, matched):
    """In focus and outside of ink, where a nucleus can be seen at all."""
    clear = phantom.regions["blur"].union(phantom.regions["pen"]).buffer(5)
    seen = [~_inside(clear, xy) for xy in (phantom_cells.centers_um, phantom.centers_um)]
    found, known = phantom_cells.centers_um[seen[0]], phantom.centers_um[seen[1]]
    hits = matched(found, known, 3.0)
    assert hits / len(known) > 0.75
    assert hits / len(found) > 0.75


def _inside(area, xy):
    return shapely.contains_xy(area, xy[:, 0], xy[:, 1])


@pytest.fixture(scope="module")
def phantom_slide(phantom):
    return slide_of_array(phantom.rgb, phantom.mpp)


@pytest.fixture(scope="module")
def one_tile(phantom_slide) -> FoundCells:
    """The phantom's cells, found in one piece."""
    fitted = StainLogDetector().fitted(phantom_slide)
    return cells_in(phantom_slide, phantom_slide.bounds, fitted)


@pytest.mark.parametrize("tile_um", [64.0, 113.0, 256.0])
def test_one_tile_against_many_on_the_phantom(phantom_slide, one_tile, tile_um):
    slide, one = phantom_slide, one_tile
    detector = StainLogDetector().fitted(slide)
    tiles = list(tiles_over(slide.bounds, tile_um))
    many = FoundCells.concatenate([cells_in(slide, t.rect, detector) for t in tiles])
    assert len(tiles) >= 6
    assert_same(one, many)


def test_one_tile_against_many_on_tissue(data_dir):
    area = Rect(330.0, 450.0, 450.0, 300.0)
    with open_slide(data_dir / "slides" / "CMU-1-Small-Region.svs") as slide:
        many = find_cells(slide, region=area)
        one = cells_in(slide, area, StainLogDetector().fitted(slide))
    assert len(one) > 200
    assert_same(one, many)


def test_find_cells_takes_tiles_with_tissue_only(phantom, phantom_cells):
    assert_same(find_cells(slide_of_array(phantom.rgb, 0.5)), phantom_cells)
    distance, _ = cKDTree(phantom_cells.centers_um).query(phantom_cells.centers_um, k=2)
    assert distance[:, 1].min() > 1.0


def disc_picture(x_um: float, y_um: float, mpp: float = 0.5, side_px: int = 700) -> np.ndarray:
    """One round nucleus of 8 µm on pink tissue."""
    y, x = (np.mgrid[:side_px, :side_px] + 0.5) * mpp
    inside = np.clip((4.0 - np.hypot(x - x_um, y - y_um)) / mpp + 0.5, 0, 1)[..., None]
    pink, purple = np.array([235.0, 190.0, 215.0]), np.array([110.0, 70.0, 150.0])
    return np.rint(pink + inside * (purple - pink)).astype(np.uint8)


@pytest.mark.parametrize("mpp", [0.5, 0.3, 0.37])
@pytest.mark.parametrize("across", [(1, 1), (1, 0.5), (0.5, 1)], ids=["corner", "column", "row"])
def test_nucleus_on_a_seam_counts_once(mpp, across):
    """Its centre is on the seam to the last bit that a float can hold."""
    size_um = 256 * mpp
    centre = (across[0] * size_um, across[1] * size_um)
    slide = slide_of_array(disc_picture(*centre, mpp), mpp)
    detector = replace(StainLogDetector(mpp=mpp), stains=StainLogDetector().fitted(slide).stains)
    area = Rect(0, 0, 2 * size_um, 2 * size_um)
    parts = [cells_in(slide, tile.rect, detector) for tile in tiles_over(area, size_um)]
    found = FoundCells.concatenate(parts)
    assert [len(p) for p in parts].count(1) == 1
    np.testing.assert_allclose(found.centers_um, [centre], atol=0.05)
    assert found.areas_um2[0] == pytest.approx(np.pi * 16, rel=0.35)


def test_scales_of_one_picture_agree(phantom, phantom_cells, matched):
    """The detector works in µm: the same tissue at 0.25 and 1 µm/px."""
    height, width = phantom.rgb.shape[:2]
    picture = Image.fromarray(phantom.rgb)
    for mpp in (0.25, 1.0):
        size = (round(width * 0.5 / mpp), round(height * 0.5 / mpp))
        scaled = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
        found = find_cells(scaled, mpp).centers_um
        hits = matched(found, phantom_cells.centers_um, 1.5)
        least = 0.97 if mpp < 0.5 else 0.8
        assert hits / len(found) > least
        assert hits / len(phantom_cells) > least


def test_outlines_fit_their_cells(phantom_cells):
    polygons = [shapely.Polygon(phantom_cells.outlines[i]) for i in range(len(phantom_cells))]
    areas = np.array([p.area for p in polygons])
    ratio = areas / phantom_cells.areas_um2
    assert abs(np.median(ratio) - 1) < 0.15
    assert (ratio > 0.6).mean() > 0.98
    holds = [
        _inside(p, c[None])[0] for p, c in zip(polygons, phantom_cells.centers_um, strict=True)
    ]
    assert np.mean(holds) > 0.97
    assert np.diff(phantom_cells.outlines.offsets).max() <= 32
    detector = StainLogDetector()
    assert phantom_cells.areas_um2.min() >= detector.min_area_um2
    assert phantom_cells.areas_um2.max() <= detector.max_area_um2


def test_region_takes_the_centres_inside(phantom, phantom_cells):
    area = Rect(100.0, 80.0, 211.5, 187.25)
    found = find_cells(phantom.rgb, 0.5, (100.0, 80.0, 211.5, 187.25))
    inside = area.contains(phantom_cells.centers_um)
    assert_same(found, phantom_cells.take(inside))


def test_region_larger_than_the_slide_is_the_slide(phantom, phantom_cells):
    """A huge rectangle must not be walked tile by tile."""
    found = find_cells(phantom.rgb, 0.5, (-1e9, -1e9, 1e12, 1e12))
    assert_same(found, phantom_cells)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((5000.0, 0.0, 10.0, 10.0), "lies outside"),
        ((0.0, 0.0, -5.0, 10.0), "positive width"),
        ((0.0, 0.0, 5.0), "four numbers"),
        ((0.0, 0.0, 5.0, 5.0, 5.0), "four numbers"),
        (("a", 0.0, 5.0, 5.0), "four numbers"),
    ],
)
def test_regions_that_are_none(phantom, region, message):
    with pytest.raises(RegionError, match=message):
        find_cells(phantom.rgb, 0.5, region)


def test_pixels_need_a_size_and_eight_bits(phantom):
    with pytest.raises(MissingPixelSize, match="mpp="):
        find_cells(phantom.rgb)
    with pytest.raises(UnsupportedPixels):
        find_cells(phantom.rgb.astype(np.uint16), 0.5)
    with pytest.raises(UnsupportedPixels):
        find_cells(phantom.rgb[..., 0], 0.5)


def test_glass_has_no_cells():
    assert len(find_cells(np.full((300, 300, 3), 244, np.uint8), 0.5)) == 0


def test_slide_smaller_than_the_halo():
    found = find_cells(disc_picture(10.0, 10.0, side_px=40), 0.5)
    assert len(found) <= 1


def test_detectors_by_name(phantom):
    assert "stain-log" in detector_names()
    assert isinstance(get_detector("stain-log"), StainLogDetector)
    with pytest.raises(UnknownDetector, match="stain-log"):
        find_cells(phantom.rgb, 0.5, detector="yolo")
    with pytest.raises(ValueError, match="registered already"):
        register_detector("stain-log", StainLogDetector)


def test_identity_changes_with_parameters_and_slide(phantom):
    detector = StainLogDetector()
    slide = slide_of_array(phantom.rgb, 0.5)
    names = {
        detector.identity(),
        replace(detector, threshold=0.2).identity(),
        replace(detector, mpp=0.25).identity(),
        detector.fitted(slide).identity(),
    }
    assert len(names) == 4
    assert detector.fitted(slide).identity() == detector.fitted(slide).identity()

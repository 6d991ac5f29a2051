"""Label arrays of any size and kind: whole cells, whatever blocks are read."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from skimage.measure import regionprops
from skimage.segmentation import find_boundaries

from napari_past.brought import cells_of_labels, cells_of_points, cells_of_polygons
from napari_past.brought.parts import parts_of
from napari_past.brought.plane import plane_of
from napari_past.errors import BadTable

from .conftest import MPP


@pytest.mark.parametrize("block_px", [64, 37, 19])
@pytest.mark.parametrize("three_class", [False, True], ids=["labels", "three-class"])
def test_blocks_have_no_say(known, block_px, three_class):
    """Cells are up to 19 px wide, so that every one of them is cut by the smallest blocks."""
    image = known.labels
    if three_class:
        edge = find_boundaries(image, mode="inner")
        image = np.where(edge, 2, 1) * (image > 0)
    whole, cut = (
        parts_of(plane_of(image), (0.5, 0.25), (7.0, -3.0), three_class, size)
        for size in (2048, block_px)
    )
    assert len(whole.labels) == len(known.ids)
    np.testing.assert_array_equal(cut.first_px, whole.first_px)
    np.testing.assert_array_equal(cut.areas_px, whole.areas_px)
    np.testing.assert_array_equal(cut.centers_um, whole.centers_um)
    np.testing.assert_array_equal(cut.outlines.vertices_um, whole.outlines.vertices_um)


def test_centre_area_and_outline_are_those_of_the_pixels(known):
    found = cells_of_labels(known.labels, (0.5, 0.25), 10.0, -20.0).found
    props = regionprops(known.labels)
    assert found.ids == tuple(str(p.label) for p in props)
    yx = np.array([p.centroid for p in props])
    expected = (yx[:, ::-1] + 0.5) * (0.5, 0.25) + (10.0, -20.0)
    np.testing.assert_allclose(found.centers_um, expected)
    np.testing.assert_allclose(found.areas_um2, [p.area * 0.125 for p in props])
    for i, prop in enumerate(props):
        top, left, bottom, right = prop.bbox
        low, high = found.outlines[i].min(axis=0), found.outlines[i].max(axis=0)
        # Outlines may leave the staircase by half a pixel.
        assert np.abs(low - (left * 0.5 + 10, top * 0.25 - 20)).max() <= 0.5
        assert np.abs(high - (right * 0.5 + 10, bottom * 0.25 - 20)).max() <= 0.5


@pytest.mark.parametrize(
    "form",
    [
        lambda a: da.from_array(a, chunks=50),
        lambda a: [da.from_array(a), da.from_array(a[::2, ::2])],
        lambda a: a[None, :, :, None].astype(np.float32),
        lambda a: a.astype(np.uint64),
    ],
    ids=["dask", "levels", "long axes", "uint64"],
)
def test_whatever_holds_them(known, form):
    found = cells_of_labels(form(known.labels), MPP).found
    np.testing.assert_allclose(found.centers_um, known.centers_px * MPP)


def test_two_cells_are_no_three_classes():
    labels = np.zeros((40, 50), np.uint8)
    labels[5:15, 5:20] = 1
    labels[15:30, 5:20] = 2
    brought = cells_of_labels(labels, 1.0)
    assert brought.found.ids == ("1", "2")
    assert brought.found.centers_um.tolist() == [[12.5, 10.0], [12.5, 22.5]]
    ring = np.zeros((40, 50), np.uint8)
    ring[5:15, 5:20] = 2
    ring[6:14, 6:19] = 1
    brought = cells_of_labels(ring, 1.0)
    assert brought.found.areas_um2.tolist() == [150.0]
    assert "border" in brought.notes[0]


def test_labels_that_begin_again_and_specks(known):
    again = known.labels % 60
    again[again == 0] = 60 * (known.labels[again == 0] > 0)
    brought = cells_of_labels(again, MPP)
    assert len(brought) == len(known.ids)
    assert {"3-1", "3-2"} <= set(brought.found.ids)
    assert "several places" in brought.notes[0]
    speckled = known.labels.copy()
    speckled[0, 0] = 3
    brought = cells_of_labels(speckled, MPP)
    assert brought.found.ids == known.ids
    assert brought.notes == ("1 speck beside the cells of the same label left out.",)
    np.testing.assert_allclose(brought.found.centers_um, known.centers_px * MPP)


def test_what_is_no_cell_is_left_out_and_told():
    labels = np.zeros((1200, 1300), np.int32)
    labels[:, :1100] = 5
    labels[20:30, 1200:1210] = 9
    brought = cells_of_labels(labels, 1.0)
    assert brought.found.ids == ("9",)
    assert "1024 px" in brought.notes[0]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros((30, 40), int), "no cells"),
        (np.full((30, 40), 0.25), "fractions"),
        (np.full((30, 40), -1), "negative"),
        (np.zeros((3, 30, 40), int), "3 x 30 x 40"),
        (np.random.default_rng(0).integers(1, 250, (300, 300)), "picture"),
        (np.array([["a"]]), "kind"),
    ],
    ids=["empty", "fractions", "negative", "stack", "picture", "text"],
)
def test_what_are_no_labels(labels, says):
    with pytest.raises(BadTable, match=says):
        cells_of_labels(labels, 0.5, source="n")


def test_points_and_polygons():
    import shapely

    bow = shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 5)])
    square = shapely.box(10, 10, 14, 16)
    ring = square.difference(shapely.box(11, 11, 12, 12))
    nothing = shapely.Polygon([(1, 1), (2, 2), (3, 3)])
    endless = shapely.Point(np.nan, 1.0)
    brought = cells_of_polygons(
        [bow, square, ring, nothing, endless, shapely.Point(3, 4)],
        ["a", "b", "b", "c", "d", ""],
        {"n": np.arange(6)},
    )
    assert brought.found.ids[:3] == ("a", "b", "b-2")
    assert brought.columns["n"].tolist() == [0, 1, 2, 5]
    assert brought.found.centers_um[[1, 3]].tolist() == [[12.0, 13.0], [3.0, 4.0]]
    assert brought.found.areas_um2[1] == 24
    assert len(brought.found.outlines[3]) == 0
    assert [len(brought.found.outlines[i]) for i in (1, 2)] == [4, 4]
    assert [note.split()[0] for note in brought.notes] == ["2", "1", "1"]
    points = cells_of_points(np.array([[1.0, 2.0], [np.inf, 0.0]]), source="p")
    assert points.found.centers_um.tolist() == [[1.0, 2.0]]
    assert "1 object" in points.notes[0]

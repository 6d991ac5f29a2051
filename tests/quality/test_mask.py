from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.quality import UNSCORED_KINDS, QualityMask


def test_a_pixel_owns_its_corner_and_what_lies_outside_is_scored():
    labels = np.array([[0, 2], [3, 6]], np.uint8)
    mask = QualityMask(labels, 8.0, "by hand")
    points = [[0, 0], [8, 0], [15.9, 7.9], [0, 8], [8, 8], [16, 0], [-0.1, 0], [0, 16]]
    assert mask.kind_at(np.array(points)).tolist() == [0, 2, 2, 3, 6, 0, 0, 0]
    assert mask.kind_at(np.zeros((0, 2))).shape == (0,)
    assert mask.kind_at(np.zeros((0, 2))).dtype == np.uint8


def test_area_by_kind():
    labels = np.zeros((10, 10), np.uint8)
    labels[0, :5], labels[1, :2] = 2, 3
    area = QualityMask(labels, 100.0, "by hand").area_mm2()
    assert list(area) == list(UNSCORED_KINDS)
    assert area["blur"] == pytest.approx(0.05)
    assert area["pen"] == pytest.approx(0.02)
    assert sum(area.values()) == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("labels", "mpp", "message"),
    [
        (np.zeros((2, 2)), 8.0, "uint8"),
        (np.zeros(4, np.uint8), 8.0, "uint8"),
        (np.full((2, 2), 7, np.uint8), 8.0, "0 to 6"),
        (np.zeros((2, 2), np.uint8), 0.0, "positive"),
    ],
)
def test_what_is_no_mask_is_refused(labels, mpp, message):
    with pytest.raises(ValueError, match=message):
        QualityMask(labels, mpp, "by hand")


def test_area_within_a_polygon_is_that_of_pixels_whose_centre_is_inside() -> None:
    labels = np.zeros((10, 20), np.uint8)
    labels[2:6, 5:15] = 3
    mask = QualityMask(labels, 8.0, "drawn")
    px_mm2 = 64e-6
    everywhere = shapely.box(-1e4, -1e4, 1e4, 1e4)
    assert mask.area_within(everywhere) == pytest.approx(40 * px_mm2)
    # columns 5 to 9, of which the last one's centre is at 76 µm; rows 2 and 3
    assert mask.area_within(shapely.box(0, 0, 77, 30)) == pytest.approx(10 * px_mm2)
    two = shapely.union_all([shapely.box(40, 16, 48, 24), shapely.box(112, 40, 120, 48)])
    assert mask.area_within(two) == pytest.approx(2 * px_mm2)
    assert mask.area_within(shapely.box(-90, -90, -10, -10)) == 0
    assert mask.area_within(shapely.Polygon()) == 0

"""Points lie on what they stand for, measured in rendered pictures at three zooms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_past.plugin.viewport import fly_to, view_rect
from napari_past.sample.ome_tiff import write_pyramid
from napari_past.types import Rect

pytestmark = pytest.mark.gui

MPP = 0.37
HEIGHT_PX, WIDTH_PX = 1760, 2400
RADIUS_PX = 16


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A slide of dark discs, and their centres (x, y) in µm."""
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[60 : HEIGHT_PX - 60 : 110, 60 : WIDTH_PX - 60 : 110]
    centers_px = np.stack([columns.ravel(), rows.ravel()], axis=1) + rng.uniform(
        -15, 15, (rows.size, 2)
    )
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX] + 0.5
    distance, _ = cKDTree(centers_px).query(np.stack([x.ravel(), y.ravel()], axis=1))
    dark = np.clip(RADIUS_PX + 0.5 - distance, 0, 1).reshape(HEIGHT_PX, WIDTH_PX)
    rgb = np.repeat((255 * (1 - dark)).astype(np.uint8)[..., None], 3, axis=2)
    path = tmp_path_factory.mktemp("discs") / "discs.ome.tif"
    write_pyramid(path, rgb, MPP, "discs", jpeg=False)
    return path, centers_px * MPP


def centroids(weight: np.ndarray) -> np.ndarray:
    """(n, 2) centres of the blobs of a picture that do not touch its border."""
    labels, n = ndimage.label(weight > 0.3 * weight.max())
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    inside = np.setdiff1d(np.arange(1, n + 1), border)
    return np.array(ndimage.center_of_mass(weight, labels, inside))


@pytest.mark.parametrize(("level", "width_um"), [(0, 150.0), (1, 440.0), (2, 850.0)])
def test_points_lie_on_discs(
    make_napari_viewer_proxy, discs: tuple[Path, np.ndarray], level: int, width_um: float
) -> None:
    path, centers_um = discs
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(900, 700)
    (slide,) = viewer.open(str(path), plugin="napari-past")
    points = viewer.add_points(
        centers_um[:, ::-1],
        size=2 * RADIUS_PX * MPP,
        border_width=0,
        face_color="white",
        symbol="disc",
        units=("um", "um"),
    )
    fly_to(viewer, Rect(440.0 - width_um / 2, 320.0 - width_um / 2.6, width_um, width_um / 1.3))

    points.visible = False
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)
    on_slide = centroids(255 - picture.mean(axis=2))
    assert slide.data_level == level
    slide.visible, points.visible = False, True
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)
    on_points = centroids(picture.mean(axis=2))

    distance, _ = cKDTree(on_points).query(on_slide)
    near = distance < 8
    assert near.sum() >= 6
    pixels_per_um = picture.shape[1] / view_rect(viewer).width_um
    half_a_pixel = 0.5 * MPP * 2**level * pixels_per_um
    # 0.25 canvas px is what centroids of rendered blobs scatter by
    assert distance[near].max() <= half_a_pixel + 0.25

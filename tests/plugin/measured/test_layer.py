"""Measured rows as a layer: spots at their size, a map of very many, and what a divider leaves."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from napari.layers import Image
from qtpy.QtCore import QObject

from napari_past.genes import resolve
from napari_past.plugin.measured.layer import RowLayer, RowPlaces, Side
from napari_past.plugin.staining import Channel, Staining
from napari_past.plugin.viewport import fly_to
from napari_past.space import um_from_world
from napari_past.types import Rect

pytestmark = pytest.mark.gui

SIZE_UM = (4000.0, 3000.0)


def staining(values: np.ndarray) -> Staining:
    channel = Channel(resolve("VIM"), values.astype(np.float32), (0.0, 1.0))
    return Staining(channel, None, "u", None, False, "viridis")


def test_few_spots_are_circles_and_many_cells_a_map_from_afar(make_napari_viewer_proxy):
    viewer = make_napari_viewer_proxy()
    viewer.add_image(np.zeros((30, 40)), scale=(100, 100), units=("um", "um"))
    fly_to(viewer, Rect(0, 0, *SIZE_UM))
    rng = np.random.default_rng(1)
    parent = QObject()
    spots = RowLayer(viewer, SIZE_UM, parent)
    places = RowPlaces(rng.random((40, 2)) * SIZE_UM, 100.0)
    spots.show(places, staining(np.linspace(0, 1, 40)), "spots")
    assert not spots.from_afar
    assert (spots.points.size == 100).all()
    npt.assert_allclose(um_from_world(spots.points.data), places.centers_um)
    # Each colour is that of the value: darkest first, brightest last.
    assert spots.points.face_color[0, :3].sum() < spots.points.face_color[-1, :3].sum()

    cells = RowLayer(viewer, SIZE_UM, parent)
    many = RowPlaces(rng.random((40_000, 2)) * SIZE_UM, None)
    cells.show(many, staining(rng.random(40_000)), "cells")
    assert isinstance(cells.current, Image)
    assert cells.current.name == "cells (map)"
    painted = np.asarray(cells.map.data[0])[..., 3] > 0
    assert painted.mean() > 0.1
    cells.set_side(Side(1000.0, left=True))
    cut = np.asarray(cells.map.data[0])[..., 3] > 0
    column = int(1000 / 8)
    npt.assert_array_equal(cut[:, :column], painted[:, :column])
    assert not cut[:, column + 1 :].any()
    cells.set_side(None)
    npt.assert_array_equal(np.asarray(cells.map.data[0])[..., 3] > 0, painted)

    swapped: list[object] = []
    cells.swapped.connect(lambda: swapped.append(cells.current))
    fly_to(viewer, Rect(500, 500, 200, 200))
    cells.follow_camera()
    assert swapped == [cells.points]
    assert not cells.map.visible
    assert 0 < len(cells.points.data) < 20_000
    cells.hide()
    assert not cells.points.visible
    cells.remove()
    spots.remove()
    assert len(viewer.layers) == 1

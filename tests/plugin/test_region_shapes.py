from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from napari.components import ViewerModel
from napari.layers import Shapes

from napari_past.plugin.own_layers import CELLS
from napari_past.plugin.pixel_size import set_pixel_size
from napari_past.plugin.region_shapes import (
    EDGE_UM,
    add_regions_layer,
    all_regions,
    complete_names,
    keep_edges_visible,
    regions_of,
    set_role,
)
from napari_past.types import IGNORE, INCLUDE, TUMOUR


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def test_shapes_of_any_scale_become_regions_in_micrometres() -> None:
    # rows 10–30 and columns 5–15 of a layer of 2 µm pixels whose pixel (0, 0) lies at (100, 200)
    corners = np.array([[10, 5], [10, 15], [30, 15], [30, 5]])
    layer = Shapes(
        [corners], shape_type="polygon", scale=(2, 2), translate=(100, 200), units=("um", "um")
    )
    (region,) = regions_of(layer)
    assert region.polygon_um.bounds == (210, 120, 230, 160)
    assert region.role == INCLUDE


def test_ellipse_is_approximated_and_lines_are_passed_over() -> None:
    layer = Shapes(units=("um", "um"), ndim=2)
    layer.add_ellipses([np.array([[0, 0], [0, 40], [20, 40], [20, 0]])])
    layer.add_lines([np.array([[0, 0], [50, 50]])])
    (region,) = regions_of(layer)
    npt.assert_allclose(region.polygon_um.area, np.pi * 20 * 10, rtol=0.01)
    npt.assert_allclose(region.polygon_um.centroid.coords[0], (20, 10), atol=1e-6)


def test_crossing_line_keeps_what_it_encloses() -> None:
    bow_tie = np.array([[0, 0], [10, 10], [10, 0], [0, 10]])
    (region,) = regions_of(Shapes([bow_tie], shape_type="polygon", units=("um", "um")))
    npt.assert_allclose(region.polygon_um.area, 50)


def test_regions_are_numbered_and_take_roles(viewer: ViewerModel) -> None:
    layer = add_regions_layer(viewer)
    square = np.array([[0, 0], [0, 9], [9, 9], [9, 0]])
    layer.add_polygons([square])
    layer.add_polygons([square + 20])
    complete_names(layer)
    assert list(layer.features["name"]) == ["Region 1", "Region 2"]
    layer.selected_data = {1}
    set_role(layer, IGNORE)
    first, second = all_regions(viewer.layers)
    assert (first.role, second.role) == (TUMOUR, IGNORE)
    assert second.ignored
    assert [r.name for r in all_regions(viewer.layers, selected=True)] == ["Region 2"]
    npt.assert_allclose(layer.edge_color[1][:3], np.array([0x8C] * 3) / 255, atol=1e-6)


def test_pixel_size_moves_all_layers_together(viewer: ViewerModel) -> None:
    image = viewer.add_image(np.zeros((50, 60)), translate=(0.5, 0.5))
    shapes = viewer.add_shapes(
        [np.array([[10, 20], [10, 30], [20, 30], [20, 20]])], shape_type="polygon"
    )
    in_um = viewer.add_points(np.array([[1.0, 2.0]]), units=("um", "um"))
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 25, 30), 4.0
    set_pixel_size(viewer, viewer.layers, 0.5)
    npt.assert_allclose(image.scale, 0.5)
    npt.assert_allclose(image.translate, 0.25)
    (region,) = regions_of(shapes)
    assert region.polygon_um.bounds == (10, 5, 15, 10)
    npt.assert_allclose(in_um.scale, 1.0)
    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"micrometer"}
    npt.assert_allclose(viewer.scene.camera.center[-2:], (12.5, 15))
    assert viewer.scene.camera.zoom == 8.0


@pytest.mark.parametrize(("canvas_mpp", "width_um"), [(0.5, 3.0), (2.0, 3.0), (4.0, 6.0)])
def test_edges_are_never_thinner_than_the_canvas_shows(viewer, canvas_mpp, width_um) -> None:
    triangle = [[0, 0], [0, 90], [90, 90]]
    ours = add_regions_layer(viewer)
    ours.add_polygons([triangle])
    theirs = viewer.add_shapes([triangle], shape_type="polygon", edge_width=1.0)
    told = []
    ours.events.edge_width.connect(told.append)
    keep_edges_visible(viewer.layers, canvas_mpp)
    assert list(ours.edge_width) == [width_um]
    # else the canvas is not drawn again
    assert len(told) == (width_um != EDGE_UM)
    assert list(theirs.edge_width) == [1.0]


def test_shapes_that_are_taken_as_cells_are_no_regions(viewer: ViewerModel) -> None:
    square = np.array([[0, 0], [0, 9], [9, 9], [9, 0]])
    layer = viewer.add_shapes([square], shape_type="polygon", units=("um", "um"))
    assert len(all_regions(viewer.layers)) == 1
    layer.metadata[CELLS] = True
    assert all_regions(viewer.layers) == ()


def test_turned_layer_of_three_dimensions_lies_where_napari_shows_it() -> None:
    corners = np.array([[0, 0, 0], [0, 0, 10], [0, 20, 10], [0, 20, 0]], float)
    layer = Shapes(
        [corners], shape_type="polygon", scale=(1, 2, 3), translate=(0, 7, 11), rotate=30
    )
    (region,) = regions_of(layer)
    shown = np.array([layer.data_to_world(corner)[-2:] for corner in corners])[:, ::-1]
    npt.assert_allclose(np.array(region.polygon_um.exterior.coords)[:4], shown)

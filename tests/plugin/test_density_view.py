"""Density map and hot spots in a real viewer: in place, in step with the table."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from napari.layers import Image, Shapes

from napari_past.plugin.densities import ALL, POSITIVE
from napari_past.plugin.region_shapes import add_regions_layer
from napari_past.plugin.viewport import view_rect
from napari_past.space import um_from_world, world_from_um
from napari_past.stain import density_map, hot_spot

pytestmark = pytest.mark.gui

LONG_MS = 60_000


def named(viewer, start: str) -> list:
    return [layer for layer in viewer.layers if layer.name.startswith(start)]


def idle_after(qtbot, widget, act) -> None:
    with qtbot.waitSignal(widget.idle, timeout=LONG_MS):
        act()


def test_maps_and_hot_spots_of_the_cells(opened, qtbot) -> None:
    """One viewer for all of it: a viewer is what takes the time."""
    viewer, widget = opened()
    the_map_lies_where_the_cells_do(viewer, widget, qtbot)
    hot_spots_are_drawn_told_and_no_regions(viewer, widget, qtbot)
    nothing_is_asked_again_and_again(widget, qtbot)
    they_follow_gene_and_regions(viewer, widget, qtbot)


def the_map_lies_where_the_cells_do(viewer, widget, qtbot) -> None:
    box = widget.panel.regions.density
    idle_after(qtbot, widget, lambda: box.of.setCurrentText(ALL))
    (layer,) = named(viewer, "Density of all counted cells · ")
    assert isinstance(layer, Image)
    expected = density_map(widget.cells.centers_um)
    shown = layer.data > 0
    npt.assert_allclose(layer.data[shown], expected.per_mm2[shown])
    row, column = np.unravel_index(expected.per_mm2.argmax(), expected.per_mm2.shape)
    x, y = um_from_world(np.array([layer.data_to_world((row, column))]))[0]
    grid = expected.grid
    assert x == pytest.approx(grid.x0_um + (column + 0.5) * grid.mpp)
    assert y == pytest.approx(grid.y0_um + (row + 0.5) * grid.mpp)
    assert box.map_line.text() == widget._density.found.map_line
    # The cells stay on top.
    assert viewer.layers.index(layer) < viewer.layers.index(named(viewer, widget.shown.name)[0])
    idle_after(qtbot, widget, lambda: box.of.setCurrentIndex(0))
    assert not named(viewer, "Density of")
    assert not box.key.isVisibleTo(box)


def hot_spots_are_drawn_told_and_no_regions(viewer, widget, qtbot) -> None:
    box, table = widget.panel.regions.density, widget.scores
    idle_after(qtbot, widget, lambda: box.spots.setChecked(True))
    (layer,) = named(viewer, "Hot spots · ")
    assert isinstance(layer, Shapes)
    shown = widget.shown
    expected = hot_spot(shown.classes, widget.cells.centers_um, least_cells=100)
    corners = um_from_world(np.asarray(layer.data[0]))
    npt.assert_allclose(corners.mean(axis=0), expected.center_um, atol=1)
    assert expected.sentence in box.spot_lines.text()
    assert widget.regions() == ()
    assert [row.region for row in widget.scores.rows] == [row.region for row in table.rows]
    box.spot_lines.linkActivated.emit("0")
    view = view_rect(viewer)
    center = (view.x_um + view.width_um / 2, view.y_um + view.height_um / 2)
    npt.assert_allclose(center, expected.center_um, atol=2)
    idle_after(qtbot, widget, lambda: box.spots.setChecked(False))
    assert not named(viewer, "Hot spots · ")


def nothing_is_asked_again_and_again(widget, qtbot) -> None:
    box = widget.panel.regions.density
    idle_after(qtbot, widget, lambda: box.of.setCurrentText(ALL))
    again = []
    widget._density.changed.connect(lambda: again.append(1))
    qtbot.wait(1500)
    assert not again
    assert not widget.busy
    idle_after(qtbot, widget, lambda: box.of.setCurrentIndex(0))


def they_follow_gene_and_regions(viewer, widget, qtbot) -> None:
    box = widget.panel.regions.density
    idle_after(qtbot, widget, lambda: box.of.setCurrentText(POSITIVE))
    idle_after(qtbot, widget, lambda: box.spots.setChecked(True))
    idle_after(qtbot, widget, lambda: widget.panel.gene.set_gene("KRT19"))
    (layer,) = named(viewer, "Density of positive cells · ")
    assert "KRT19" in layer.name
    whole = widget._density.found.map.cells
    assert whole == (widget.shown.classes > 0).sum()
    part = np.array([[0, 0], [380, 0], [380, 320], [0, 320]], float)
    idle_after(qtbot, widget, lambda: add_regions_layer(viewer).add_polygons([world_from_um(part)]))
    found = widget._density.found
    inside = widget.cells.centers_um[:, 0] < 380
    assert found.map.cells == (inside & (widget.shown.classes > 0)).sum() < whole
    # It is smaller than the circle.
    assert found.without_spot == ("Region 1",)

"""The layers that show one slide's cells: points, and outlines of the nuclei."""

from __future__ import annotations

import napari
import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Points, Shapes

from napari_past.engine import Cells
from napari_past.plugin.cell_points import (
    MOST_POINTS,
    add_points,
    drawn_cells,
    point_layer,
    update_points,
)
from napari_past.plugin.outline_labels import outline_layer
from napari_past.plugin.staining import Staining
from napari_past.plugin.viewport import view_rect


class SlideView:
    """Keeps the two layers in step with cells and gene; layers that the user removed come back."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.points: Points | None = None
        self.outlines: Labels | None = None
        self.cells: Cells | None = None
        self.shown: Staining | None = None
        self.drawn: npt.NDArray[np.intp] = np.arange(0)
        """Which cells the points layer holds."""

    @property
    def thinned(self) -> bool:
        """Whether there are more cells than are drawn at once."""
        return self.cells is not None and len(self.drawn) < len(self.cells)

    def show(self, cells: Cells, shown: Staining) -> None:
        """Draw the cells with a gene's colours."""
        same_cells, before = cells is self.cells, self.shown
        self.cells, self.shown = cells, shown
        if len(cells) == 0 and self.points is None:
            return
        self._show_outlines(same_cells, before)
        self._show_points()

    def follow_camera(self) -> bool:
        """Draw the cells that have come into view; False where all are drawn anyway."""
        crowded = self.cells is not None and len(self.cells) > MOST_POINTS
        if crowded and self.points is not None and self.points in self._viewer.layers:
            self._show_points()
        return crowded

    def toggle_points(self) -> None:
        if self.points is not None:
            self.points.visible = not self.points.visible

    def toggle_outlines(self) -> None:
        if self.outlines is not None:
            self.outlines.visible = not self.outlines.visible

    def _show_points(self) -> None:
        if self.cells is None or self.shown is None:
            return
        self.drawn = drawn_cells(self.cells, view_rect(self._viewer))
        layer_data = point_layer(self.cells, self.shown, self.drawn)
        if self.points is not None and self.points in self._viewer.layers:
            update_points(self.points, layer_data)
            return
        drawing = self._viewer.layers.selection.active
        self.points = add_points(self._viewer, layer_data)
        self._regions_on_top()
        if isinstance(drawing, Shapes):
            self._viewer.layers.selection.active = drawing

    def _show_outlines(self, same_cells: bool, before: Staining | None) -> None:
        if self.cells is None or self.shown is None:
            return
        classes = self.shown.classes if self.shown.as_classes else None
        present = self.outlines is not None and self.outlines in self._viewer.layers
        plain_before = before is not None and not before.as_classes
        if present and same_cells and plain_before and classes is None:
            return
        levels, arguments, _ = outline_layer(self.cells, classes)
        if present and self.outlines is not None:
            self.outlines.data = levels
            return
        self.outlines = self._viewer.add_labels(levels, **arguments)

    def _regions_on_top(self) -> None:
        layers = self._viewer.layers
        for layer in [layer for layer in layers if isinstance(layer, Shapes)]:
            layers.move(layers.index(layer), len(layers))

"""The pointer over the canvas: which cell it is on, and which one was picked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import napari
import numpy as np
from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import QObject, Signal

from napari_past.engine import CellTable
from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.own_layers import OWN
from napari_past.space import um_from_world, world_from_um
from napari_past.types import Rect

REACH_UM = 6.0
"""A nucleus and a little more; from afar a few pixels of the canvas."""
REACH_CANVAS_PX = 4.0
PICKED = "Picked cell"
_PICKED_SIZE_UM = 14.0


def nearest_cell(table: CellTable, xy_um: np.ndarray, reach_um: float) -> int | None:
    """The cell whose centre is nearest to a place, within a reach; None where there is none."""
    x, y = xy_um.tolist()
    near = table.in_rect(Rect(x - reach_um, y - reach_um, 2 * reach_um, 2 * reach_um))
    if not len(near):
        return None
    distance = np.hypot(*(table.centers_um[near] - xy_um).T)
    best = int(distance.argmin())
    return int(near[best]) if distance[best] <= reach_um else None


class Pointer(QObject):
    """Emits the cell under the pointer, and the one that was clicked, −1 for none."""

    hovered = Signal(int)
    picked = Signal(int)

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.table: CellTable | None = None
        self._last = -1
        self._mark: Points | None = None
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.mouse_drag_callbacks.append(self._on_press)

    def disconnect_viewer(self) -> None:
        """Leave the viewer's callbacks as they were."""
        for callbacks, ours in (
            (self._viewer.mouse_move_callbacks, self._on_move),
            (self._viewer.mouse_drag_callbacks, self._on_press),
        ):
            if ours in callbacks:
                callbacks.remove(ours)

    def mark(self, cell: int) -> None:
        """A ring around a cell; −1 takes it away."""
        layers = self._viewer.layers
        if cell < 0 or self.table is None:
            if self._mark is not None and self._mark in layers:
                layers.remove(self._mark)
            self._mark = None
            return
        place = world_from_um(self.table.centers_um[cell : cell + 1])
        if self._mark is None or self._mark not in layers:
            with keeping_active(self._viewer):
                self._mark = self._viewer.add_points(
                    place,
                    name=PICKED,
                    size=_PICKED_SIZE_UM,
                    symbol="disc",
                    face_color="transparent",
                    border_color="#111111",
                    border_width=0.12,
                    units=("um", "um"),
                    scale=(1.0, 1.0),
                    metadata=dict(OWN),
                )
                self._mark.editable = False
        else:
            self._mark.data = place

    def _cell_at(self, event: Any) -> int:
        if self.table is None or not len(self.table):
            return -1
        reach_um = max(REACH_UM, REACH_CANVAS_PX / float(self._viewer.scene.camera.zoom))
        place = um_from_world(np.asarray(event.position[-2:], np.float64))
        found = nearest_cell(self.table, place, reach_um)
        return -1 if found is None else found

    def _on_move(self, viewer: napari.Viewer, event: Any) -> None:
        cell = self._cell_at(event)
        if cell != self._last:
            self._last = cell
            self.hovered.emit(cell)

    def _on_press(self, viewer: napari.Viewer, event: Any) -> Iterator[None]:
        # While a region is drawn or a mask is painted, a click is not about a cell.
        active = viewer.layers.selection.active
        drawing = isinstance(active, Labels | Points | Shapes) and active.mode != "pan_zoom"
        start = np.asarray(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if not drawing and event.button == 1 and np.abs(np.asarray(event.pos) - start).max() < 4:
            self.picked.emit(self._cell_at(event))

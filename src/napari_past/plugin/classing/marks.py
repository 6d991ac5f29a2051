"""Layers of what the user said: rings on labelled cells, areas, and the cell that is suggested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Image, Layer, Points, Shapes
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QGuiApplication

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.cell_types import TYPE_COLOURS
from napari_past.plugin.classing.labels import LabelledArea
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.region_rings import ring_of
from napari_past.plugin.region_shapes import EDGE_UM, FOUND, regions_of
from napari_past.plugin.timers import settling_timer
from napari_past.space import world_from_um
from napari_past.types import INCLUDE, FloatArray, Region

LABELLED, AREAS, SUGGESTED = "Labelled cells", "Labelled areas", "Suggested cell"
_SIZE_UM, _SUGGESTED_SIZE_UM = 4.5, 22.0
_RIM = 0.25
"""Of a mark's size: white, so that it is seen on its class's colour."""
_CODE = "code"
_AFTER_MS = 100


class Marks(QObject):
    """Draws them; emits `drawn` when the user drew, moved or removed areas."""

    drawn = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._places: Points | None = None
        self._areas: Shapes | None = None
        self._suggested: Points | None = None
        self._before: Layer | None = None
        """The layer in hand before areas were drawn."""
        self._drawing = False
        self._shown: tuple[LabelledArea, ...] = ()
        self._hid: list[Layer] = []
        """Layers that come back: not those that the user hides in napari's list."""
        self._timer = settling_timer(self, _AFTER_MS, self._on_rested)

    def show(
        self, centers_um: FloatArray, codes: npt.NDArray[np.integer], areas: Sequence[LabelledArea]
    ) -> None:
        """Mark these cells (m, 2) by their classes (m,), and draw these areas."""
        for layer in self._hid:
            layer.visible = True
        self._hid = []
        self._raise()
        self._show_places(centers_um, codes)
        if tuple(areas) != self._shown or (areas and self._there(self._areas) is None):
            self._draw_areas(tuple(areas))

    def hide(self) -> None:
        """Show none, until some are shown again."""
        self.suggest(None)
        self._timer.stop()
        for layer in (self._places, self._areas):
            if layer is not None and layer in self._viewer.layers and layer.visible:
                layer.visible = False
                self._hid.append(layer)

    def suggest(self, center_um: FloatArray | None) -> None:
        """A ring around a cell (2,); None takes it away."""
        layer = self._there(self._suggested)
        if center_um is None:
            if layer is not None:
                self._viewer.layers.remove(layer)
            self._suggested = None
            return
        place = world_from_um(np.asarray(center_um, np.float64)[None])
        if layer is not None:
            layer.data = place
            return
        self._suggested = self._added(
            lambda: self._viewer.add_points(
                place,
                name=SUGGESTED,
                size=_SUGGESTED_SIZE_UM,
                face_color="transparent",
                border_color="#111111",
                border_width=0.12,
                **_COMMON,
            )
        )
        self._suggested.editable = False

    def draw(self, on: bool, code: int) -> None:
        """Hand the user the lasso for areas of a class, or take it away."""
        layer, layers = self._there(self._areas), self._viewer.layers
        if not on:
            if layer is not None and layer.mode != "pan_zoom":
                layer.mode = "pan_zoom"
                layer.selected_data = set()
                layers.selection.active = self._there(self._before) or layer
            return
        if layer is None or layers.selection.active != layer:
            self._before = layers.selection.active
        if layer is None:
            layer = self._areas_layer()
        self._raise()
        layer.visible = True
        layer.feature_defaults = {_CODE: code}
        layer.current_edge_color = _hex(code)
        layers.selection.active = layer
        layer.mode = "add_polygon_lasso"

    def areas(self) -> tuple[LabelledArea, ...]:
        """As they are drawn."""
        layer = self._there(self._areas)
        if layer is None:
            return ()
        codes = list(layer.features[_CODE])
        found = ((k, regions_of(layer, [k])) for k in range(len(layer.data)))
        return tuple(
            LabelledArea(region.polygon_um, int(codes[k])) for k, some in found for region in some
        )

    def _show_places(self, centers_um: FloatArray, codes: npt.NDArray[np.integer]) -> None:
        layer, places = self._there(self._places), world_from_um(np.asarray(centers_um))
        colours = np.array([(*_rgb(code), 255) for code in codes]).reshape(-1, 4) / 255
        if layer is None:
            if not len(places):
                return
            self._places = self._added(
                lambda: self._viewer.add_points(
                    places,
                    name=LABELLED,
                    size=_SIZE_UM,
                    face_color=colours,
                    border_color="#ffffff",
                    border_width=_RIM,
                    **_COMMON,
                )
            )
            self._places.editable = False
            return
        if np.array_equal(layer.data, places) and np.array_equal(layer.face_color, colours):
            return
        # Every setter has the canvas make all its markers anew: once at the end is enough.
        with layer.events.blocker_all():
            layer.selected_data = set()
            layer.data = places
            layer.set_view_slice()
            if len(places):
                layer.face_color = colours
                layer.border_color = "#ffffff"
                layer.border_width = _RIM
                layer.size = _SIZE_UM
        layer.refresh()
        layer.editable = False

    def _draw_areas(self, areas: tuple[LabelledArea, ...]) -> None:
        layer = self._there(self._areas)
        if layer is None:
            if not areas:
                return
            with keeping_active(self._viewer):
                layer = self._areas_layer()
        self._drawing = True
        try:
            mode = layer.mode
            layer.selected_data = set()
            layer.data = []
            if areas:
                rings = [ring_of(Region("area", INCLUDE, area.polygon_um)) for area in areas]
                layer.add_polygons(
                    [world_from_um(ring) for ring in rings],
                    edge_color=[_hex(area.code) for area in areas],
                )
            layer.features = pd.DataFrame({_CODE: [area.code for area in areas]}, dtype=np.int64)
            layer.mode = mode
        finally:
            self._drawing = False
        self._shown = areas

    def _areas_layer(self) -> Shapes:
        self._areas = self._viewer.add_shapes(
            None,
            ndim=2,
            name=AREAS,
            scale=(1.0, 1.0),
            units=("um", "um"),
            features=pd.DataFrame({_CODE: pd.Series(dtype=np.int64)}),
            feature_defaults={_CODE: 0},
            face_color="transparent",
            edge_width=EDGE_UM,
            opacity=1.0,
            # They are no regions to score.
            metadata={FOUND: True, **OWN},
        )
        self._areas.events.data.connect(self._on_data)
        return self._areas

    def _on_data(self, event: object = None) -> None:
        if not self._drawing:
            self._timer.start()

    def _on_rested(self) -> None:
        # A shape that grows under the hand is none yet.
        if QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._timer.start()
        elif self._there(self._areas) is not None:
            self._shown = self.areas()
            self.drawn.emit()

    def _raise(self) -> None:
        """Above every picture: a slide that was opened later lies on them."""
        layers = self._viewer.layers
        for layer in (self._areas, self._places):
            if self._there(layer) is not None:
                place = layers.index(layer)
                if any(isinstance(other, Image) for other in layers[place + 1 :]):
                    layers.move(place, len(layers))

    def _there(self, layer: Any) -> Any:
        return layer if layer is not None and layer in self._viewer.layers else None

    def _added(self, add: Callable[[], Any]) -> Any:
        with keeping_active(self._viewer):
            return add()


_COMMON: dict[str, Any] = {
    "symbol": "disc",
    "units": ("um", "um"),
    "scale": (1.0, 1.0),
    "metadata": dict(OWN),
}


def _rgb(code: int) -> tuple[int, int, int]:
    return TYPE_COLOURS[code]


def _hex(code: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*TYPE_COLOURS[code])

"""Measured rows in the colours of one quantity: spots and cells from near, a map of many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Image, Layer, Points
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.cell_points import (
    COARSEST_POINTS_MPP,
    MOST_POINTS,
    NEAR_MPP,
    NEAR_SIZE_UM,
    SIZE_UM,
    add_points,
    update_points,
)
from napari_past.plugin.gene_map import GeneMap
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.reader import LayerData
from napari_past.plugin.staining import Staining
from napari_past.plugin.viewport import canvas_mpp, view_rect, widened
from napari_past.space import world_from_um
from napari_past.types import Rect

FEW_ROWS = 1_500
"""Up to so many are points from afar, too: a section of spots, or a small crop."""
LEAST_PX = 7
"""Of a point on the canvas: of smaller ones napari draws little but the rim."""
_MARGIN = 0.3


@dataclass(frozen=True, eq=False)
class RowPlaces:
    """Where rows lie that are shown together."""

    centers_um: npt.NDArray[np.float64]
    """(n, 2), (x, y) on the slide."""
    diameter_um: float | None
    """Of spots; None for single cells."""

    def __len__(self) -> int:
        return len(self.centers_um)

    def in_rect(self, rect: Rect) -> npt.NDArray[np.intp]:
        """Rows whose centre lies in a rectangle, ascending."""
        return np.flatnonzero(rect.contains(self.centers_um))


@dataclass(frozen=True)
class Side:
    """What a divider leaves of a layer."""

    x_um: float
    left: bool
    """Whether it keeps what lies left of it."""

    def keeps(self, x_um: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        return np.asarray((x_um < self.x_um) == self.left)


class RowLayer(QObject):
    """One quantity on the canvas, as points or, of very many rows from afar, as a map.

    Parameters
    ----------
    size_um
        (width, height) of the slide.
    """

    swapped = Signal()
    """Another napari layer shows it now: points in place of the map, or the map in theirs."""

    def __init__(
        self, viewer: napari.Viewer, size_um: tuple[float, float], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._size_um = viewer, size_um
        self.points: Points | None = None
        self.map: Image | None = None
        self._places: RowPlaces | None = None
        self._shown: Staining | None = None
        self._name = ""
        self._map: GeneMap | None = None
        self._alphas: list[npt.NDArray[np.uint8]] = []
        """Of the map's pictures, without a divider."""
        self._mapped: Staining | None = None
        self._pointed: Staining | None = None
        self._drawn: npt.NDArray[np.intp] = np.arange(0)
        self._drawn_um = 0.0
        self._side: Side | None = None
        self._colours = np.zeros((0, 4), np.float32)
        """Of the points, without a divider."""
        self._kept: npt.NDArray[np.bool_] | None = None
        """Points that the divider left when it last cut; None where they are all there."""
        self._visible = False

    @property
    def current(self) -> Layer | None:
        """The napari layer that shows it."""
        there = self.map if self.from_afar else self.points
        return there if there in self._viewer.layers else None

    @property
    def from_afar(self) -> bool:
        """Whether the map is shown in place of points."""
        places = self._places
        if places is None or len(places) <= FEW_ROWS:
            return False
        specks = places.diameter_um is None or places.diameter_um < 4 * canvas_mpp(self._viewer)
        if specks and canvas_mpp(self._viewer) > COARSEST_POINTS_MPP:
            return True
        return len(places.in_rect(view_rect(self._viewer))) > MOST_POINTS

    def show(self, places: RowPlaces, shown: Staining, name: str) -> None:
        """Show rows in some colours."""
        if places is not self._places:
            self._map = self._mapped = self._pointed = None
            self._drawn_um = 0.0
        self._places, self._shown, self._name = places, shown, name
        self._visible = True
        self._draw()

    def hide(self) -> None:
        """Show nothing, until something is shown again."""
        self._visible = False
        self._set_visible()

    def set_side(self, side: Side | None) -> None:
        """Leave only what lies on one side of a divider; None for all."""
        if side != self._side:
            self._side = side
            self._cut()

    def follow_camera(self) -> None:
        """Draw what came into view."""
        if self._visible:
            self._draw()

    def remove(self) -> None:
        """Take the layers out of the viewer."""
        self._visible = False
        for layer in (self.points, self.map):
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self.points = self.map = self._places = self._shown = None
        self._map = self._mapped = self._pointed = None

    # ---- drawing -----------------------------------------------------------------------------

    def _draw(self) -> None:
        if self._places is None or self._shown is None:
            return
        before = self.current
        if self.from_afar:
            self._draw_map(self._places, self._shown)
        else:
            self._draw_points(self._places, self._shown)
        self._set_visible()
        if self.current is not before:
            self.swapped.emit()

    def _draw_points(self, places: RowPlaces, shown: Staining) -> None:
        index = np.arange(len(places))
        if len(places) > FEW_ROWS:
            view = view_rect(self._viewer)
            near = places.in_rect(widened(view, _MARGIN))
            index = near if len(near) <= MOST_POINTS else places.in_rect(view)
        near_mpp = canvas_mpp(self._viewer) <= NEAR_MPP
        size_um = places.diameter_um or (NEAR_SIZE_UM if near_mpp else SIZE_UM)
        there = self.points if self.points in self._viewer.layers else None
        same = self._drawn_um == size_um and np.array_equal(index, self._drawn)
        if there is not None and same and self._pointed is shown:
            return
        self._drawn, self._drawn_um, self._pointed = index, size_um, shown
        layer_data = self._point_layer(places, shown, index, size_um)
        if there is None:
            self.points = self._added(lambda: add_points(self._viewer, layer_data))
        elif same and len(there.data) == len(index):
            _recolour(there, layer_data)
        else:
            update_points(there, layer_data)
        self._colours, self._kept = layer_data[1]["face_color"], None
        if self.points is not None and len(index):
            _paint(self.points, self._colours)
        self._cut()

    def _point_layer(
        self, places: RowPlaces, shown: Staining, index: npt.NDArray[np.intp], size_um: float
    ) -> LayerData:
        arguments: dict[str, Any] = {
            "name": self._name,
            "features": pd.DataFrame({f"{self._name} ({shown.unit})": shown.values[index]}),
            "face_color": shown.colours(index),
            "symbol": shown.symbols(index),
            "size": np.full(len(index), size_um),
            "border_width": 0,
            "opacity": 0.85,
            "scale": (1.0, 1.0),
            "units": ("um", "um"),
            "metadata": dict(OWN),
            "canvas_size_limits": (LEAST_PX, 10_000),
        }
        return world_from_um(places.centers_um[index]), arguments, "points"

    def _draw_map(self, places: RowPlaces, shown: Staining) -> None:
        if self._map is None:
            self._map = GeneMap(self._size_um)
        if self._mapped is not shown:
            self._map.show(places, shown)
            self._mapped = shown
            self._alphas = [picture[..., 3].copy() for picture in self._map.pictures]
        name = f"{self._name} (map)"
        if self.map is None or self.map not in self._viewer.layers:
            pictures, arguments, _ = self._map.layer(name)
            self.map = self._added(lambda: self._viewer.add_image(pictures, **arguments))
        elif self.map.data[0] is not self._map.pictures[0]:
            self.map.data = self._map.pictures
        self.map.name = name
        self._cut()

    def _cut(self) -> None:
        """Leave what the divider leaves."""
        side = self._side
        if self.points is not None and self.points in self._viewer.layers and len(self.points.data):
            x_um = self.points.data[:, 1]
            keep = np.ones(len(x_um), bool) if side is None else side.keeps(x_um)
            # napari's own `shown` counts only where some dimension is not displayed.
            if not np.array_equal(self._kept if self._kept is not None else keep | True, keep):
                colours = self._colours.copy()
                colours[~keep, 3] = 0
                _paint(self.points, colours)
            self._kept = keep
        if self._map is None or self.map is None or self.map not in self._viewer.layers:
            return
        for level, alpha in zip(self._map.levels, self._alphas, strict=True):
            x_um = (np.arange(level.shape[1]) + 0.5) * level.bin_um
            keep = np.ones(len(x_um), bool) if side is None else side.keeps(x_um)
            level.rgba[..., 3] = alpha * keep
        self.map.refresh(extent=False, thumbnail=False)

    def _set_visible(self) -> None:
        current = self.current
        for layer in (self.points, self.map):
            wanted = self._visible and layer is current
            if layer is not None and layer.visible != wanted:
                layer.visible = wanted

    def _added(self, add: Callable[[], Any]) -> Any:
        with keeping_active(self._viewer):
            return add()


def _recolour(layer: Points, layer_data: LayerData) -> None:
    """Other values of the same rows: napari takes milliseconds for each thing that is set."""
    _, arguments, _ = layer_data
    with layer.events.blocker_all():
        layer.features = arguments["features"]
    layer.name = arguments["name"]


def _paint(layer: Points, colours: npt.NDArray[np.float32]) -> None:
    """Colours (n, 4) of the points, and of their rims: small ones are little else."""
    with layer.events.blocker_all():
        layer.face_color = colours
        layer.border_color = colours
    layer.refresh(extent=False)

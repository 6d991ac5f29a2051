"""Landmarks are picked in two halves of the canvas: the H&E at the left, the rows at the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Image, Layer, Points
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject

from napari_past.errors import PastError
from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.measured.landmarks import Landmarks, no_landmarks, shown_at
from napari_past.plugin.measured.picking_box import PickingBox
from napari_past.plugin.measured.tissue import OnSlide
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.side_by_side import SideBySide
from napari_past.plugin.staining import automatic_limits, colour_table
from napari_past.space import um_from_world, world_from_um
from napari_past.spatial.landmarks import Affine

ON_SLIDE, ON_ROWS = "Landmarks on the H&E", "Landmarks on the measurement"
MOST_ROWS = 20_000
"""Shown while landmarks are picked, spread evenly over all."""
GRAB_PX = 12.0
"""So near to a landmark, in pixels of the canvas, the mouse takes hold of it."""
CLICK_PX = 4
_SEED = 7
_INKS = {True: "#0033ff", False: "#ffd60a"}
"""On the H&E, and on the dark canvas beside it."""


class Picking(QObject):
    """Has the user click the same places in both halves, and tells the box of it."""

    def __init__(
        self, viewer: napari.Viewer, beside: SideBySide, box: PickingBox, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._box = box
        box.taken_back.connect(self.take_back)
        box.save_to.connect(self.save)
        self._viewer, self._beside = viewer, beside
        self.landmarks: Landmarks = no_landmarks()
        self._here: OnSlide | None = None
        self._shown_at: Affine | None = None
        """From the measurement's own place to where it is shown."""
        self._rows: Points | None = None
        self._marks: dict[bool, Points] = {}
        """On the H&E (True), on the rows."""

    @property
    def on(self) -> bool:
        return self._here is not None

    def begin(self, here: OnSlide, below: Image, colours: npt.NDArray[np.float32]) -> None:
        """Show the measurement beside the H&E and take clicks.

        Parameters
        ----------
        colours
            (r, 4) of the section's rows.
        """
        if self.on:
            return
        self._here, self.landmarks = here, no_landmarks()
        rows_um = here.read.centers_um
        self._shown_at = here.affine or shown_at(rows_um, here.slide.bounds)
        some = np.arange(len(rows_um))
        if len(some) > MOST_ROWS:
            some = np.sort(np.random.default_rng(_SEED).choice(some, MOST_ROWS, replace=False))
        diameter_um = here.section.spot_diameter_um
        with keeping_active(self._viewer):
            self._rows = self._viewer.add_points(
                world_from_um(rows_um[some]),
                name=f"{here.label}, to be placed",
                size=diameter_um or 8.0,
                face_color=colours[some],
                border_color=colours[some],
                border_width=0,
                opacity=0.9,
                units=("um", "um"),
                affine=_napari_affine(self._shown_at),
                canvas_size_limits=(3, 10_000),
                metadata=dict(OWN),
            )
            self._rows.editable = False
            for on_slide, name in ((True, ON_SLIDE), (False, ON_ROWS)):
                self._marks[on_slide] = self._add_marks(name, _INKS[on_slide])
        self._draw()
        self._beside.begin(self._right, below)
        self._viewer.mouse_drag_callbacks.insert(0, self._on_press)
        self._box.show_landmarks(self.landmarks)

    def end(self) -> None:
        """Take the layers away and give the mouse back."""
        if not self.on:
            return
        self._here = None
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self._beside.end()
        for layer in (self._rows, *self._marks.values()):
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._rows, self._marks = None, {}

    def take_back(self) -> None:
        """Forget the landmark that was picked last."""
        self._set(self.landmarks.without_last())

    def pick(self, on_slide: bool, world_um: npt.NDArray[np.float64]) -> None:
        """A landmark on one side.

        Parameters
        ----------
        world_um
            (x, y) on the canvas.
        """
        self._set(self.landmarks.with_place(on_slide, self._own(on_slide, world_um)))

    def save(self, path: str) -> None:
        """Write the pairs picked so far."""
        try:
            target = self.landmarks.write(path)
        except PastError as exc:
            show_error(str(exc))
            return
        show_info(f"Saved {self.landmarks.pairs} landmarks to {target}.")

    # ---- layers ------------------------------------------------------------------------------

    def _right(self) -> Sequence[Layer]:
        marks = self._marks.get(False)
        return [layer for layer in (self._rows, marks) if layer is not None]

    def _add_marks(self, name: str, ink: str) -> Points:
        # One point from the start, unseen: napari makes text of an empty layer fail to grow later.
        layer = self._viewer.add_points(
            np.zeros((1, 2)),
            name=name,
            features=_numbers(1),
            # Spaces keep the number clear of the cross, whatever the zoom.
            text={"string": "  {number}", "size": 14, "color": ink, "anchor": "lower_left"},
            size=1.0,
            face_color=ink,
            border_color=ink,
            border_width=0,
            symbol="cross",
            units=("um", "um"),
            scale=(1.0, 1.0),
            canvas_size_limits=(14, 14),
            metadata=dict(OWN),
            visible=False,
        )
        layer.editable = False
        return layer

    def _draw(self) -> None:
        found, affine = self.landmarks, self.landmarks.affine
        if affine is not None:
            # Rows and landmarks are shown where the pairs so far put them: the next is found there.
            self._shown_at = affine
        assert self._shown_at is not None
        if self._rows is not None and self._rows in self._viewer.layers:
            self._rows.affine = _napari_affine(self._shown_at)
        for on_slide, places in ((True, found.on_slide_um), (False, found.on_rows_um)):
            layer = self._marks.get(on_slide)
            if layer is None or layer not in self._viewer.layers:
                continue
            there = places if on_slide else self._shown_at(places)
            layer.visible = len(there) > 0
            if len(there):
                layer.data = world_from_um(there)
                layer.features = _numbers(len(there))
                layer.size = 1.0
                layer.refresh_text()
                layer.editable = False

    def _set(self, landmarks: Landmarks) -> None:
        self.landmarks = landmarks
        self._draw()
        self._box.show_landmarks(landmarks)

    # ---- mouse -------------------------------------------------------------------------------

    def _own(self, on_slide: bool, world_um: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """A place of the canvas in µm of the H&E, or where the measurement's file has it."""
        if on_slide or self._shown_at is None:
            return np.asarray(world_um, np.float64)
        matrix = np.array(self._shown_at.matrix)
        return np.asarray(np.linalg.solve(matrix[:, :2], world_um - matrix[:, 2]), np.float64)

    def _on_press(self, viewer: napari.Viewer, event: Any) -> Iterator[None]:
        if event.button != 1:
            return
        # Where a press began it goes on: the grid has the H&E at the left.
        on_slide = event.viewbox is None or tuple(event.viewbox)[1] == 0
        start = np.asarray(event.pos)
        grabbed = self._near(on_slide, _place(event))
        event.handled = grabbed >= 0
        yield
        while event.type == "mouse_move":
            if grabbed >= 0:
                self._move(on_slide, grabbed, _place(event))
                event.handled = True
            yield
        if grabbed < 0 and np.abs(np.asarray(event.pos) - start).max() < CLICK_PX:
            self.pick(on_slide, _place(event))

    def _near(self, on_slide: bool, world_um: npt.NDArray[np.float64]) -> int:
        """The landmark under the mouse; −1 for none."""
        own = self.landmarks.on_slide_um if on_slide else self.landmarks.on_rows_um
        if not len(own) or self._shown_at is None:
            return -1
        away = np.linalg.norm((own if on_slide else self._shown_at(own)) - world_um, axis=1)
        nearest = int(away.argmin())
        reach_um = GRAB_PX / float(self._viewer.scene.camera.zoom)
        return nearest if away[nearest] <= reach_um else -1

    def _move(self, on_slide: bool, which: int, world_um: npt.NDArray[np.float64]) -> None:
        found = self.landmarks
        places = (found.on_slide_um if on_slide else found.on_rows_um).copy()
        places[which] = self._own(on_slide, world_um)
        moved = (places, found.on_rows_um) if on_slide else (found.on_slide_um, places)
        self._set(Landmarks(*moved))


def row_colours(totals: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """RGBA (r, 4) by the rows' total counts: where there is most RNA is seen on the H&E, too."""
    values = np.log1p(totals).astype(np.float32)
    low, high = automatic_limits(values)
    table = colour_table()[:-1]
    step = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (len(table) - 1)
    return table[step.astype(np.intp)]


def _numbers(n: int) -> pd.DataFrame:
    """Features that name landmarks 1 to n."""
    return pd.DataFrame({"number": [str(k) for k in range(1, n + 1)]})


def _place(event: Any) -> npt.NDArray[np.float64]:
    return um_from_world(np.asarray(event.position[-2:], np.float64))


def _napari_affine(affine: Affine) -> npt.NDArray[np.float64]:
    """(3, 3) for (y, x, 1): napari has rows first."""
    (a, b, c), (d, e, f) = affine.matrix
    return np.array([[e, d, f], [b, a, c], [0.0, 0.0, 1.0]])

"""The canvas while measured tissue is looked at: its layers, and the ways to lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import napari
from napari.layers import Image, Layer
from psygnal import EmitLoopError
from qtpy.QtCore import QObject

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.curtain import Curtain
from napari_past.plugin.measured.box import RowsWay
from napari_past.plugin.measured.layer import RowLayer, RowPlaces, Side
from napari_past.plugin.measured.tissue import OnSlide
from napari_past.plugin.measured.values import RowsShown
from napari_past.plugin.measured.words import Divider, Words
from napari_past.plugin.side_by_side import SideBySide
from napari_past.plugin.staining import Staining
from napari_past.plugin.swipe import Swipe

SEEN = {
    RowsWay.CELLS: (),
    RowsWay.MEASURED: ("measured",),
    RowsWay.PREDICTED: ("predicted",),
    RowsWay.RESIDUAL: ("residual",),
    RowsWay.SWIPE: ("predicted", "measured"),
    RowsWay.BESIDE: ("predicted", "measured"),
}
"""Which quantities each way shows; the first is at the left."""


class MeasuredCanvas(QObject):
    """Shows one gene of measured rows in one way; leaves the viewer as it was."""

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._rows: dict[str, RowLayer] = {}
        self._places: dict[str, RowPlaces] = {}
        self._here: OnSlide | None = None
        self._way = RowsWay.CELLS
        self._copy: Image | None = None
        """Of the slide, for the right half."""
        self.beside = SideBySide(viewer, self)
        self.swipe = Swipe(viewer, self._on_curtain)
        self.divider = Divider(viewer)
        self.words = Words(viewer)

    @property
    def way(self) -> RowsWay:
        """As it is laid out now."""
        return self._way

    def layer_of(self, quantity: str) -> Layer | None:
        """The napari layer of "measured", "predicted" or "residual"; None while there is none."""
        rows = self._rows.get(quantity)
        return None if rows is None else rows.current

    def show(
        self, way: RowsWay, below: Image, here: OnSlide, shown: RowsShown | None, model: str
    ) -> None:
        """Show rows of a section in one way.

        Parameters
        ----------
        below
            The slide's layer.
        shown
            None where the gene was not measured: then no row is shown.
        model
            Name of the model that predicted.
        """
        if here is not self._here:
            self.leave()
            self._take(here)
        elif way is not self._way:
            self._end_way()
        told: list[str] = []
        for quantity, rows in self._rows.items():
            staining = None if shown is None else _staining(shown, quantity)
            if quantity in SEEN[way] and staining is not None and shown is not None:
                name = _name(quantity, shown, here, model)
                told.append(name)
                rows.show(self._places[quantity], staining, name)
            else:
                rows.hide()
        self._way = way
        if way is RowsWay.BESIDE:
            self._stand_beside(below)
        elif way is RowsWay.SWIPE:
            self.swipe.begin()
        # In two halves the left one is of what was predicted.
        sides = told if len(told) > 1 else ["", *told]
        lines = [side.replace(" · ", "\n ", 1) for side in sides]
        self.words.tell(*lines) if told else self.words.tell("")

    def leave(self) -> None:
        """Take the layers away; one canvas again."""
        self._end_way()
        self._way = RowsWay.CELLS
        for rows in self._rows.values():
            rows.remove()
            rows.deleteLater()
        self._rows, self._places, self._here = {}, {}, None
        self.words.tell("")

    def follow_camera(self) -> None:
        """Draw what came into view."""
        for rows in self._rows.values():
            rows.follow_camera()

    def close(self) -> None:
        """Leave the viewer as it was."""
        # At the end of a program the canvas may be gone before this is.
        with suppress(EmitLoopError, RuntimeError):
            self._end_way()
        self.words.close()

    # ---- ways --------------------------------------------------------------------------------

    def _take(self, here: OnSlide) -> None:
        self._here = here
        diameter_um = here.section.spot_diameter_um
        centers_um, size_um = here.section.centers_um, here.slide.size_um
        all_rows = RowPlaces(centers_um[here.on_slide], diameter_um)
        some = None if here.tissue is None else RowPlaces(here.tissue.row_um, diameter_um)
        for quantity in ("predicted", "measured", "residual"):
            places = all_rows if quantity == "measured" else some
            if places is not None:
                rows = self._rows[quantity] = RowLayer(self._viewer, size_um, self)
                rows.swapped.connect(self.beside.arrange)
                self._places[quantity] = places

    def _end_way(self) -> None:
        self.swipe.end()
        self.beside.end()
        self.divider.remove()
        if self._copy is not None and self._copy in self._viewer.layers:
            self._viewer.layers.remove(self._copy)
        self._copy = None
        for rows in self._rows.values():
            rows.set_side(None)

    def _stand_beside(self, below: Image) -> None:
        if self.beside.on:
            self.beside.arrange()
            return
        with keeping_active(self._viewer):
            # The pyramid is the same: nothing is read twice.
            self._copy = Image(
                below.data,
                rgb=True,
                multiscale=below.multiscale,
                name=f"{below.name} (measured side)",
                scale=below.scale,
                translate=below.translate,
                units=below.units,
            )
            self._viewer.layers.append(self._copy)
        self.beside.begin(self._right, below)

    def _right(self) -> Sequence[Layer]:
        measured = self.layer_of("measured")
        return [layer for layer in (self._copy, measured) if layer is not None]

    def _on_curtain(self, curtain: Curtain) -> None:
        for quantity, left in (("predicted", True), ("measured", False)):
            if quantity in self._rows:
                self._rows[quantity].set_side(Side(curtain.x_um, left))
        self.divider.show(curtain)


def _staining(shown: RowsShown, quantity: str) -> Staining | None:
    return {
        "measured": shown.measured, "predicted": shown.predicted, "residual": shown.residual,
    }[quantity]  # fmt: skip


def _name(quantity: str, shown: RowsShown, here: OnSlide, model: str) -> str:
    """As layers and words have it."""
    if quantity == "measured":
        return f"{shown.name} measured · {here.label}"
    if quantity == "predicted":
        return f"{shown.name} predicted · {model} per {here.row}"
    return f"{shown.name} predicted − measured · {model}"

"""The virtual stain as a layer of the viewer, with words on the canvas while it is seen."""

from __future__ import annotations

from contextlib import suppress

import napari
import numpy as np
from napari.components.overlays import TextOverlay
from napari.layers import Image
from psygnal import EmitLoopError
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.curtain import Curtain, Rgba
from napari_past.plugin.latest import Latest
from napari_past.plugin.lazy_level import Window
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.virtual_cells import VirtualCells
from napari_past.plugin.virtual_drawing import VirtualDrawing
from napari_past.plugin.virtual_level import (
    VirtualLevel,
    overview_of,
    overview_shape,
)
from napari_past.slide import Slide
from napari_past.stain.virtual_mark import PREDICTED
from napari_past.types import StainProfile

OVERLAY = "virtual_stain"
"""Name of the words among the canvas's overlays."""
_REFRESH_MS = 40
_OVERVIEW_MS = 1000
_BLANK = 235
"""Every channel of an overview that is not drawn yet."""
_INK, _PAPER = (1.0, 1.0, 1.0, 1.0), (0.55, 0.11, 0.09, 0.92)


class VirtualLayer(QObject):
    """One layer over one slide; made when it is first shown."""

    seen = Signal(bool)
    """It was shown or hidden, by whomever, or removed."""
    drawn = Signal()
    """Blocks were drawn, or are to be drawn anew."""
    _woken = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.layer: Image | None = None
        self.drawing: VirtualDrawing | None = None
        self.h_and_e: Image | None = None
        self._curtain: Curtain | None = None
        self._overview: Rgba = np.zeros((1, 1, 4), np.uint8)
        self._overview_fresh = False
        self._refreshed = 0
        """Blocks that were drawn when the canvas last got its pixels."""
        self._words: TextOverlay | None = None
        self._refresh_timer = settling_timer(self, _REFRESH_MS, self._refresh)
        self._overview_timer = settling_timer(self, _OVERVIEW_MS, self._draw_overview)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_overview)
        self._woken.connect(self._on_drawn)
        viewer.layers.events.removed.connect(self._on_removed)

    # ---- what the levels ask (Showing) ---------------------------------------------------------

    @property
    def curtain(self) -> Curtain | None:
        return self._curtain

    def shows(self, level: int, window: Window) -> bool:
        """Whether napari asks for a window of a level to put it on its canvas."""
        layer = self.layer
        if layer is None or layer.data_level != level:
            return False
        (y0, x0), (y1, x1) = layer.corner_pixels.tolist()
        return window == (y0, y1 + 1, x0, x1 + 1)

    # ---- what it does --------------------------------------------------------------------------

    @property
    def visible(self) -> bool:
        return self.layer is not None and self.layer.visible

    @property
    def busy(self) -> bool:
        drawing = self.drawing
        if not self.visible or drawing is None:
            return False
        return self._refresh_timer.isActive() or drawing.busy or drawing.drawn != self._refreshed

    def show(
        self, h_and_e: Image, slide: Slide, profile: StainProfile, cells: VirtualCells
    ) -> None:
        """Show some cells over a slide's layer."""
        if self.layer is None or self.h_and_e is not h_and_e:
            self.remove()
            levels, mpp = slide.display_pixels, slide.require_mpp()
            self._add(h_and_e, VirtualDrawing(levels, mpp, profile, self._woken.emit), cells)
        assert self.drawing is not None
        assert self.layer is not None
        self.layer.name = f"{cells.subject} (virtual stain, predicted)"
        self._overview_fresh = False
        self._latest.drop()
        before = self.drawing.cells
        if before is not None and before.subject != cells.subject:
            # Never another gene under this one's name.
            self._overview[:] = _BLANK
        self.drawing.set_cells(cells)
        self._overview_timer.start()
        self.set_visible(True)
        self._tell()

    def set_visible(self, visible: bool) -> None:
        if self.layer is not None and self.layer.visible != visible:
            self.layer.visible = visible

    def set_curtain(self, curtain: Curtain | None) -> None:
        """Let the H&E be seen left of it; None shows the whole layer."""
        if curtain != self._curtain:
            self._curtain = curtain
            self._refresh()

    def remove(self) -> None:
        """Take the layer out of the viewer; what was drawn is forgotten."""
        layer, self.layer = self.layer, None
        if self.drawing is not None:
            self.drawing.close()
        self.drawing = self.h_and_e = None
        self._latest.drop()
        self._refresh_timer.stop()
        self._overview_timer.stop()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        if layer is not None:
            self._tell()
            self.seen.emit(False)

    def close(self) -> None:
        """Stop drawing, and leave the canvas without the words."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if self.drawing is not None:
            self.drawing.close()
        with suppress(EmitLoopError, RuntimeError):
            if self._words is not None:
                self._words.visible = False

    def _add(self, h_and_e: Image, drawing: VirtualDrawing, cells: VirtualCells) -> None:
        self.drawing, self.h_and_e, self._refreshed = drawing, h_and_e, 0
        self._overview = np.full(overview_shape(drawing), _BLANK, np.uint8)
        # Before the layer is there nothing is on the canvas: it would be drawn whole, here.
        levels = [VirtualLevel(drawing, k, self) for k in range(len(drawing))]
        with keeping_active(self._viewer):
            layer = Image(
                [*levels, self._overview],
                rgb=True,
                multiscale=True,
                name=cells.subject,
                scale=h_and_e.scale,
                translate=h_and_e.translate,
                units=h_and_e.units,
                visible=False,
                metadata={"predicted": True},
            )
            self.layer = layer
            self._viewer.layers.insert(self._viewer.layers.index(h_and_e) + 1, layer)
        layer.editable = False
        layer.events.visible.connect(self._on_visible)

    # ---- what happens --------------------------------------------------------------------------

    def _on_drawn(self) -> None:
        if not self._refresh_timer.isActive():
            self._refresh_timer.start()

    def _refresh(self) -> None:
        if self.layer is not None and self.drawing is not None and self.layer.visible:
            self._refreshed = self.drawing.drawn
            self.layer.refresh(extent=False, thumbnail=False)
        self.drawn.emit()

    def _draw_overview(self) -> None:
        drawing = self.drawing
        if drawing is None or self._overview_fresh:
            return
        if drawing.busy:
            self._overview_timer.start()
        else:
            self._latest.ask(overview_of(drawing))

    def _on_overview(self, picture: Rgba) -> None:
        if self.layer is not None and picture.shape == self._overview.shape:
            self._overview[:] = picture
            self._overview_fresh = True
            self.layer.refresh(extent=False)

    def _on_visible(self) -> None:
        self._tell()
        self.seen.emit(self.visible)

    def _on_removed(self, event: object) -> None:
        if (self.layer is not None and self.layer not in self._viewer.layers) or (
            self.h_and_e is not None and self.h_and_e not in self._viewer.layers
        ):
            self.remove()

    def _tell(self) -> None:
        """Say on the canvas what is seen: every picture of the canvas then says it, too."""
        overlays = self._viewer.canvas.overlays
        if not self.visible:
            if self._words is not None:
                self._words.visible = False
            return
        assert self.drawing is not None
        assert self.drawing.cells is not None
        text = f" {PREDICTED}\n{self.drawing.cells.subject}"
        if self._words is None:
            self._words = TextOverlay(
                text=text, position="top_right", box=True, box_color=_PAPER, color=_INK,
                font_size=10,
            )  # fmt: skip
            overlays[OVERLAY] = self._words
        self._words.text = text
        self._words.visible = True

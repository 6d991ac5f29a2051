"""What is not scored, as a labels layer that the user can paint and erase."""

from __future__ import annotations

from dataclasses import replace

import napari
import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.layer_order import above_slide
from napari_past.plugin.own_layers import OWN
from napari_past.plugin.timers import settling_timer
from napari_past.quality import UNSCORED_KINDS, QualityMask
from napari_past.space import image_placement

LAYER_NAME = "Not scored"
EDITED = "edited"
_SETTLE_MS = 300
KIND_COLOURS = {
    # Nobody takes it for tissue, and a slide under a grey veil is not what she came to see.
    "glass": "transparent",
    "blur": "#5b8def",
    "pen": "#1b9e77",
    "fold": "#7a5195",
    "bubble": "#d9b44a",
    "other": "#4d4d4d",
}


class UnscoredLayer(QObject):
    """Shows a mask and tells of the user's changes."""

    edited = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Labels | None = None
        self._mask: QualityMask | None = None
        self._timer = settling_timer(self, _SETTLE_MS, self._on_settled)

    @property
    def mask(self) -> QualityMask | None:
        """As it is on the slide now, with the user's strokes."""
        return self._mask

    @property
    def layer(self) -> Labels | None:
        return self._layer

    def set_mask(self, mask: QualityMask | None) -> None:
        """Show another mask; an empty one has a layer too, so that it can be painted."""
        self._remove()
        self._mask = mask
        if mask is None:
            return
        scale, translate = image_placement(mask.mpp)
        table: dict[int | None, str] = {None: "transparent", 0: "transparent"}
        for k, kind in enumerate(UNSCORED_KINDS, start=1):
            table[k] = KIND_COLOURS[kind]
        with keeping_active(self._viewer):
            layer = self._viewer.add_labels(
                mask.labels.copy(),
                name=LAYER_NAME,
                scale=scale,
                translate=translate,
                units=("um", "um"),
                opacity=0.35,
                colormap=DirectLabelColormap(color_dict=table),
                metadata=dict(OWN),
            )
            above_slide(self._viewer, layer)
        layer.selected_label = UNSCORED_KINDS.index("other") + 1
        layer.brush_size = 12
        layer.events.labels_update.connect(self._on_painted)
        layer.events.paint.connect(self._on_painted)
        self._layer = layer

    def edit(self) -> None:
        """Hand the user the brush."""
        if self._layer is not None and self._layer in self._viewer.layers:
            self._layer.visible = True
            self._viewer.layers.selection.active = self._layer
            self._layer.mode = "paint"

    def _remove(self) -> None:
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = None

    def _on_painted(self, event: object = None) -> None:
        self._timer.start()

    def _on_settled(self) -> None:
        if self._layer is None or self._mask is None:
            return
        labels = np.asarray(self._layer.data, np.uint8)
        if not np.array_equal(labels, self._mask.labels):
            self._mask = replace(self._mask, labels=labels.copy(), source=EDITED)
            self.edited.emit()

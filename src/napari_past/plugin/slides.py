"""Which slide of the viewer is worked on, and the layers that show its cells."""

from __future__ import annotations

import napari
from napari.layers import Image, Layer
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.pixel_size import bounds_of, in_pixels
from napari_past.plugin.reader import slide_ref
from napari_past.plugin.slide_box import SlideBox
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.timers import settling_timer
from napari_past.types import Rect, SlideRef


class Slides(QObject):
    """Keeps the list of slides in step with the viewer's layers."""

    chosen = Signal()
    """Another slide is worked on, or none."""

    def __init__(self, viewer: napari.Viewer, box: SlideBox, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._box = viewer, box
        self.layer: Image | None = None
        """The slide that is worked on."""
        self._known: list[Layer] = []
        self._views: dict[Layer, SlideView] = {}
        self._gone: list[SlideView] = []
        """Of slides that are not in the viewer any more."""
        # Not at once: napari may be in the middle of taking out several layers by their places.
        self._clearing = settling_timer(self, 0, self._clear_gone)
        box.chosen.connect(self._on_chosen)

    @property
    def ref(self) -> SlideRef | None:
        return None if self.layer is None else slide_ref(self.layer.metadata)

    @property
    def refs(self) -> set[SlideRef]:
        """Of all slides in the viewer."""
        refs = (slide_ref(layer.metadata) for layer in self._known)
        return {ref for ref in refs if ref is not None}

    @property
    def without_mpp(self) -> bool:
        """Whether the slide's pixel size has to be asked for."""
        return self.layer is not None and in_pixels(self.layer)

    @property
    def bounds(self) -> Rect | None:
        """In µm; None without a slide or without its pixel size."""
        return None if self.layer is None else bounds_of(self.layer)

    @property
    def view(self) -> SlideView | None:
        """The layers of its cells; None until its pixel size is known."""
        bounds = self.bounds
        if self.layer is None or bounds is None:
            return None
        if self.layer not in self._views:
            self._views[self.layer] = SlideView(self._viewer, (bounds.width_um, bounds.height_um))
        return self._views[self.layer]

    def follow_layers(self) -> None:
        """Layers came or went: a slide that was just opened is taken, and another one where the
        chosen one is gone."""
        slides = [layer for layer in self._viewer.layers if slide_ref(layer.metadata) is not None]
        opened = [layer for layer in slides if layer not in self._known]
        self._known = slides
        for layer in [layer for layer in self._views if layer not in slides]:
            # Else these cells would lie on the next slide.
            view = self._views.pop(layer)
            view.hide()
            self._gone.append(view)
            self._clearing.start()
        current = self.layer if self.layer in slides else (slides[-1] if slides else None)
        if opened:
            current = opened[-1]
        self._box.set_slides([s.name for s in slides], current.name if current else None)
        self._choose(current)

    def _on_chosen(self, name: str) -> None:
        self._choose(next((layer for layer in self._viewer.layers if layer.name == name), None))

    def _clear_gone(self) -> None:
        gone, self._gone = self._gone, []
        for view in gone:
            view.remove()

    def _choose(self, layer: Image | None) -> None:
        if layer is self.layer:
            return
        for other, view in self._views.items():
            if other is not layer:
                view.hide()
        # All slides lie at the origin: two at once would be taken for one.
        for slide in self._known:
            slide.visible = slide is layer
        self.layer = layer
        self.chosen.emit()

"""What a microscope has: objectives on keys, the magnification in sight, an overview."""

from __future__ import annotations

import napari
from napari.layers import Image

from napari_past.plugin.objective import Objectives
from napari_past.plugin.overview_map import OverviewMap

MICROSCOPE_KEYS = {"Alt-1 … Alt-5": "2.5x, 5x, 10x, 20x, 40x"}


class Microscope:
    """Keeps the objectives and the overview of the slide in view."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.overview = OverviewMap(viewer)
        self._objectives = Objectives(viewer, self.overview.devicePixelRatioF)

    def set_slide(self, layer: Image | None) -> None:
        """Show another slide layer, in µm; None shows none, and no magnification."""
        self.overview.set_slide(layer)
        self._objectives.switch(layer is not None)

    def follow_camera(self) -> None:
        """The camera moved or zoomed."""
        self._objectives.follow_camera()
        self.overview.follow_camera()

    def close(self) -> None:
        """Leave the viewer's keys as they were."""
        self._objectives.close()

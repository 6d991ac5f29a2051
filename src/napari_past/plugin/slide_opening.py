"""Slides that napari's own dialogs cannot open: from an address, or another image of a file."""

from __future__ import annotations

import napari
from napari.layers import Image
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QInputDialog, QLineEdit

from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.reader import IMAGES, METADATA_KEY, LayerData, slide_layer, slide_ref
from napari_past.plugin.slide_box import SlideBox
from napari_past.slide import open_slide
from napari_past.slide.place import shown_name

ASK = (
    "Address of a slide (https://…, s3://…): an OME-Zarr folder or a tiled TIFF. Only the tiles "
    "that you look at are fetched."
)


class SlideOpening(QObject):
    """Opens slides beside the GUI thread and adds their layers."""

    def __init__(self, viewer: napari.Viewer, box: SlideBox, jobs: Jobs, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._jobs = viewer, box, jobs
        self._shown: Image | None = None
        box.address_wanted.connect(self.ask)
        box.image_chosen.connect(self._on_image)

    def ask(self) -> None:
        """Have the user type an address, and open it."""
        address, agreed = QInputDialog.getText(
            self._box, "Open address", ASK, QLineEdit.EchoMode.Normal, ""
        )
        if agreed and address.strip():
            self.open(address.strip())

    def open(self, place: str, mpp: float | None = None, series: int | str | None = None) -> None:
        """Open a slide from a path or an address; a mistake is told in one sentence.

        Parameters
        ----------
        mpp
            µm/px, where the file has none.
        series
            Which image of the file; None for the largest.
        """

        def work(job: Job) -> LayerData:
            return slide_layer(open_slide(place, mpp, series))

        self._jobs.run(work, f"Opening {shown_name(place)}", self._add, stoppable=True)

    def follow(self, layer: Image | None) -> None:
        """Offer the images of the file of the slide in view."""
        self._shown = layer
        told = {} if layer is None else layer.metadata.get(METADATA_KEY, {})
        names = tuple(told.get(IMAGES, ()))
        series = told.get("series")
        self._box.set_images(names, names[series] if isinstance(series, int) else series)

    def _on_image(self, name: str) -> None:
        ref = None if self._shown is None else slide_ref(self._shown.metadata)
        if ref is not None:
            self.open(ref.path, None, name)

    def _add(self, layer: object) -> None:
        assert isinstance(layer, tuple)
        data, arguments, _ = layer
        self._viewer.add_image(data, **arguments)
        self._viewer.reset_view()

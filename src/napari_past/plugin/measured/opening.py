"""Measured tissue is opened: looked at, asked about, read and laid on the slide, closed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_past.plugin.desk import Desk
from napari_past.plugin.measured.dialog import MeasuredDialog
from napari_past.plugin.measured.offer import Offer, offer_of
from napari_past.plugin.measured.tissue import Measured, OnSlide, opened_on
from napari_past.plugin.measured.work import MeasuredWork
from napari_past.slide import Slide
from napari_past.spatial.measured import MeasuredAs
from napari_past.types import SlideRef

NO_SLIDE = "{name} is measured tissue, which is laid on its H&E: open the slide first."


class Opening(QObject):
    """Brings sections into `Measured`, and closes their slides when nothing reads them any more."""

    opened = Signal()
    """A section is about to be kept that was not there before."""

    def __init__(self, measured: Measured, work: MeasuredWork, desk: Desk, parent: QWidget) -> None:
        super().__init__(parent)
        self._measured, self._work, self._desk = measured, work, desk
        self._unused: list[Slide] = []
        self.dialog = MeasuredDialog(parent)
        self.dialog.given.connect(self.read)

    def open(self, path: Path) -> None:
        """Lay measured tissue on the slide that is worked on; what is not known is asked for."""
        session = self._desk.session
        if session is None:
            show_error(NO_SLIDE.format(name=path.name))
            return
        slide = session.slide
        name, bounds, mpp = slide.name, slide.bounds, slide.require_mpp()
        self._work.run(
            lambda watch: offer_of(path, name, bounds, mpp), f"Looking at {path.name}", self._ask
        )

    def read(self, path: Path, asked: MeasuredAs) -> None:
        """Read it as it was said to be."""
        session = self._desk.session
        if session is None:
            show_error(NO_SLIDE.format(name=path.name))
            return
        ref = session.slide.ref
        self._work.run(
            lambda watch: opened_on(path, ref, asked), f"Reading {path.name}", self._on_read
        )

    def forget(self, is_gone: Callable[[SlideRef], bool]) -> None:
        """Close what was opened on some slides."""
        self._unused += self._measured.forget(is_gone)
        self.tidy()

    def tidy(self) -> None:
        """Close slides that nothing reads any more."""
        if not self._work.busy:
            for slide in self._unused:
                slide.close()
            self._unused = []

    def _ask(self, offer: object) -> None:
        session = self._desk.session
        if session is not None:
            assert isinstance(offer, Offer)
            self.dialog.ask(offer, session.slide.name)

    def _on_read(self, found: object) -> None:
        assert isinstance(found, OnSlide)
        self.forget(lambda ref: ref == found.ref)
        self.opened.emit()
        self._measured.keep(found)

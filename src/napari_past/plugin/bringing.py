"""Somebody's cells take the place of found ones: taken beside the GUI thread, kept by slide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import napari
from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QInputDialog

from napari_past.brought import SeveralCells, bring_cells
from napari_past.cells.brought import BroughtCells
from napari_past.errors import Cancelled, PastError
from napari_past.plugin.brought_box import BroughtBox
from napari_past.plugin.brought_layers import bring_layer, lay, place_of, sources
from napari_past.plugin.desk import Desk
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.layer_watch import LayerWatch
from napari_past.plugin.own_layers import CELLS
from napari_past.slide import Slide
from napari_past.types import SlideRef

NO_SLIDE = "{name} holds cells, which are laid on their slide: open the slide first."


@dataclass(frozen=True)
class _Taken:
    cells: BroughtCells
    watch: LayerWatch | None
    """Of the layer that they were taken from; None for a file."""

    @property
    def layer(self) -> Layer | None:
        return None if self.watch is None else self.watch.layer


class Bringing(QObject):
    """Does what the box asks for, and keeps it in step with the viewer's layers."""

    changed = Signal()
    """Other cells are wanted on the slide in view."""

    def __init__(
        self, viewer: napari.Viewer, box: BroughtBox, jobs: Jobs, desk: Desk, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._jobs, self._desk = viewer, box, jobs, desk
        self._taken: dict[SlideRef, _Taken] = {}
        box.found_wanted.connect(self.find)
        box.layer_wanted.connect(self.take)
        box.path_wanted.connect(lambda path: self.open(Path(path)))
        box.again_wanted.connect(self._on_again)

    def of(self, ref: SlideRef | None) -> BroughtCells | None:
        """The cells that were brought for a slide; None where they are to be found."""
        taken = None if ref is None else self._taken.get(ref)
        return None if taken is None else taken.cells

    def find(self) -> None:
        """Go back to cells that are found on the slide."""
        session = self._desk.session
        if session is not None and session.slide.ref in self._taken:
            self._keep(session.slide.ref, None)

    def take(self, layer: Layer) -> None:
        """Take the cells of a layer as it is now."""
        session = self._desk.session
        if session is None or layer not in self._viewer.layers:
            return
        slide = session.slide
        try:
            place, bring = place_of(layer, slide), bring_layer(layer, slide)
        except PastError as exc:
            show_error(str(exc))
            return
        # From now on: what is edited while the cells are taken may or may not be among them.
        watch = LayerWatch(layer, self.follow)

        def done(cells: object) -> None:
            edited = watch.edited
            lay(layer, place)
            watch.edited = edited
            layer.metadata = {**layer.metadata, CELLS: True}
            self._on_taken(slide, cells, watch)

        self._run(lambda job: bring(), layer.name, done)

    def open(self, path: Path, key: str | None = None) -> None:
        """Take the cells of a file or a folder.

        Parameters
        ----------
        key
            Which, where it holds several; None asks.
        """
        session = self._desk.session
        if session is None:
            show_error(NO_SLIDE.format(name=path.name))
            return
        slide = session.slide

        def bring(job: Job) -> BroughtCells | SeveralCells:
            try:
                return bring_cells(path, slide, key=key)
            except SeveralCells as several:
                return several

        def done(cells: object) -> None:
            if isinstance(cells, SeveralCells):
                self._ask(path, cells)
            else:
                self._on_taken(slide, cells, None)

        self._run(bring, path.name, done)

    def follow(self, event: object = None) -> None:
        """Show in the box what there is and what is in use."""
        session, layers = self._desk.session, self._viewer.layers
        offered = [(layer.name, layer) for layer in sources(layers)]
        taken = None if session is None else self._taken.get(session.slide.ref)
        self._box.setEnabled(session is not None)
        if taken is None:
            self._box.set_sources(offered, None)
            self._box.tell("")
            self._box.tell_edited("")
            return
        layer, watch = taken.layer, taken.watch
        there = any(layer is other for _, other in offered)
        self._box.set_sources(offered, layer if there else None, "" if there else _name(taken))
        self._box.tell(told(taken.cells))
        edited = there and watch is not None and watch.edited
        self._box.tell_edited(
            f"{_name(taken)} was edited after its cells were taken." if edited else ""
        )

    def follow_slides(self, refs: set[SlideRef]) -> None:
        """These slides are in the viewer: what was brought for others is forgotten."""
        for ref in [ref for ref in self._taken if ref not in refs]:
            self._release(ref)
        self.follow()

    def close(self) -> None:
        """Leave the layers alone."""
        for ref in list(self._taken):
            self._release(ref)

    def _run(
        self,
        work: Callable[[Job], BroughtCells | SeveralCells],
        name: str,
        done: Callable[[object], None],
    ) -> None:
        def cancellable(job: Job) -> BroughtCells | SeveralCells:
            cells = work(job)
            if job.cancelled():
                raise Cancelled("The cells were not taken.")
            return cells

        self._jobs.run(cancellable, f"Taking the cells of {name}", done, stoppable=True)

    def _on_taken(self, slide: Slide, cells: object, watch: LayerWatch | None) -> None:
        assert isinstance(cells, BroughtCells)
        self._keep(slide.ref, _Taken(cells, watch))

    def _keep(self, ref: SlideRef, taken: _Taken | None) -> None:
        self._release(ref, but=None if taken is None else taken.layer)
        if taken is not None:
            self._taken[ref] = taken
        self.changed.emit()

    def _release(self, ref: SlideRef, but: Layer | None = None) -> None:
        """Forget what was brought for a slide; its layer, but for one, is a layer as before."""
        before = self._taken.pop(ref, None)
        if before is None or before.watch is None:
            return
        before.watch.end()
        layer = before.watch.layer
        if layer is not but:
            layer.metadata = {k: v for k, v in layer.metadata.items() if k != CELLS}

    def _on_again(self) -> None:
        session = self._desk.session
        taken = None if session is None else self._taken.get(session.slide.ref)
        if taken is not None and taken.layer is not None:
            self.take(taken.layer)

    def _ask(self, path: Path, several: SeveralCells) -> None:
        """Let the user choose one of several."""
        key, agreed = QInputDialog.getItem(
            self._box, path.name, "It holds several kinds of cells. Which of them?",
            list(several.choices), 0, False,
        )  # fmt: skip
        if agreed:
            self.open(path, key)


def told(cells: BroughtCells) -> str:
    """How many cells were brought, what from, and what is to be known of them."""
    noun = "cell" if len(cells) == 1 else "cells"
    return " ".join([f"{len(cells):,} {noun} of {cells.source} ({cells.kind}).", *cells.notes])


def _name(taken: _Taken) -> str:
    return taken.cells.source if taken.layer is None else str(taken.layer.name)

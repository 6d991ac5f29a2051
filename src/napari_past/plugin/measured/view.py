"""Measured tissue in the viewer: opened on the slide, looked at beside the prediction, placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import napari
from napari.layers import Image
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_past.engine import Workers
from napari_past.model import Model
from napari_past.plugin.desk import Desk
from napari_past.plugin.inspecting import Inspecting
from napari_past.plugin.latest import Latest
from napari_past.plugin.measured.box import NEED_PREDICTED, RowsWay
from napari_past.plugin.measured.canvas import MeasuredCanvas
from napari_past.plugin.measured.genes import SharedGenes, shared_genes
from napari_past.plugin.measured.opening import Opening
from napari_past.plugin.measured.picking import Picking, row_colours
from napari_past.plugin.measured.pointer import RowPointer, row_text
from napari_past.plugin.measured.predicting import Predicted, predicted_on
from napari_past.plugin.measured.telling import facts, not_measured, told_values
from napari_past.plugin.measured.tissue import Measured, OnSlide, moved
from napari_past.plugin.measured.values import RowsAsked, RowsShown, rows_shown
from napari_past.plugin.measured.work import MeasuredWork
from napari_past.plugin.panel import Panel
from napari_past.plugin.reader import slide_ref
from napari_past.plugin.session import Session
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.virtual_box import Way
from napari_past.plugin.virtual_view import VirtualView, slide_layer
from napari_past.types import Region
from napari_past.validation.row_cells import RowCells

NO_MODEL = "This slide is analysed as IHC, so no model predicts on it."
BY_LANDMARKS = "the landmarks picked"


class MeasuredView(QObject):
    """Does what the box asks for; keeps layers in step with slide, model, gene and colours."""

    changed = Signal()
    """Work began, went on or ended."""
    laid_out = Signal()
    """Another part of the slide may be in view."""

    def __init__(
        self,
        viewer: napari.Viewer,
        panel: Panel,
        workers: Workers,
        virtual: VirtualView,
        inspecting: Inspecting,
        regions: Callable[[], Sequence[Region]],
        desk: Desk,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._virtual, self._inspecting = virtual, inspecting
        self._viewer, self._panel, self._workers = viewer, panel, workers
        self._regions, self._desk = regions, desk
        self._box = box = panel.tissue
        self.measured = Measured(self)
        self.canvas = MeasuredCanvas(viewer, self)
        self.pointer = RowPointer(viewer, self)
        self.picking = Picking(viewer, self.canvas.beside, box.picking, self)
        self._way = RowsWay.CELLS
        self._predicted: Predicted | None = None
        self._tried = False
        """Whether rows were predicted on since they were last asked for: not again by itself."""
        self._shown: RowsShown | None = None
        self._asked: RowsAsked | None = None
        """What `_shown` is of."""
        self._hid: tuple[SlideView, tuple[bool, bool]] | None = None
        """Whose colours and outlines are hidden, and which of them were seen before."""
        self._work = MeasuredWork(self)
        self.opening = Opening(self.measured, self._work, desk, parent)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_values)
        self._work.changed.connect(self._on_work)
        self.measured.changed.connect(self._on_section)
        self.opening.opened.connect(self._on_opened)
        virtual.changed.connect(self._on_virtual)
        box.path_given.connect(lambda path: self.open(Path(path)))
        box.way_chosen.connect(self.look)
        box.gene_chosen.connect(panel.gene.set_gene)
        box.standard_toggled.connect(self.follow)
        box.predict_wanted.connect(self.predict)
        box.cancelled.connect(self._work.cancel)
        box.picking_wanted.connect(self.pick)
        box.undo_wanted.connect(self.measured.undo)
        box.close_wanted.connect(self._on_close)
        box.picking.apply_wanted.connect(self._on_apply)
        box.picking.left.connect(self._stop_picking)

    # ---- what it shows -----------------------------------------------------------------------

    @property
    def way(self) -> RowsWay:
        """How the user wants to look."""
        return self._way

    @property
    def shown(self) -> RowsShown | None:
        """The gene on the rows; None where it was not measured or is not worked out yet."""
        return self._shown

    @property
    def busy(self) -> bool:
        return self._work.busy or self._latest.busy

    # ---- what it does ------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Lay measured tissue on the slide that is worked on."""
        self.opening.open(path)

    def look(self, way: RowsWay) -> None:
        """Look at rows in some way, or at the predicted cells alone."""
        self._way, self._tried = way, False
        if way is not RowsWay.CELLS:
            self._virtual.look(Way.H_AND_E)
        self._update()

    def flip(self) -> None:
        """From what was measured to what is predicted, and back."""
        if self.measured.here is not None:
            other = RowsWay.PREDICTED if self._way is RowsWay.MEASURED else RowsWay.MEASURED
            self.look(other)

    def show_residual(self) -> None:
        """Look at where predicted and measured values differ."""
        self.look(RowsWay.RESIDUAL)

    def predict(self) -> None:
        """Predict on the rows, beside the GUI thread; what the store has is not computed again."""
        here, model = self.measured.here, self._model
        self._tried = True
        if here is None or here.tissue is None or model is None:
            return
        self._work.run(
            partial(predicted_on, here, model, self._workers),
            f"Predicting on {len(here.tissue):,} {here.section.row_kind}", self._on_predicted,
        )  # fmt: skip

    def pick(self) -> None:
        """Have landmarks picked, in two halves of the canvas."""
        here, below = self.measured.here, self._below
        if here is None or below is None:
            return
        self._virtual.look(Way.H_AND_E)
        self._leave()
        self._hide_cells()
        self.picking.begin(here, below, row_colours(here.counts.totals))
        self.canvas.words.tell("H&E", f"{here.label}, to be placed")
        self._update()

    def follow(self) -> None:
        """Another gene, colours or cells are shown."""
        self._update()

    def follow_camera(self) -> None:
        self.canvas.follow_camera()

    def set_session(self, session: Session | None) -> None:
        """Another slide or model, or none: what was predicted is of the former one."""
        self._latest.drop()
        if session is None:
            self._work.cancel()
            self._stop_picking()
            self._leave()
            self._shown = self._asked = None
            return
        self._tried = False
        before = self.measured.here
        self.measured.turn_to(session.slide.ref)
        if self.measured.here is before:
            self._on_section()

    def follow_slides(self) -> None:
        """Slides came or went: what was measured on those that are gone is forgotten."""
        there = {slide_ref(layer.metadata) for layer in self._viewer.layers}
        self.opening.forget(lambda ref: ref not in there)

    def close(self) -> None:
        """Leave the viewer as it was."""
        self._work.cancel()
        self._latest.drop()
        self.pointer.end()
        self.picking.end()
        self.canvas.close()
        self.opening.forget(lambda ref: True)

    def _on_opened(self) -> None:
        if self._way is RowsWay.CELLS:
            self._way = RowsWay.MEASURED
            self._virtual.look(Way.H_AND_E)

    def _on_close(self) -> None:
        here = self.measured.here
        if here is not None:
            self._work.cancel()
            self._stop_picking()
            self._way = RowsWay.CELLS
            self.opening.forget(lambda ref: ref == here.ref)

    # ---- in step -----------------------------------------------------------------------------

    @property
    def _model(self) -> Model | None:
        """That predicts on this slide; None where its stain is measured."""
        session = self._desk.session
        return session.model if session is not None and isinstance(session.model, Model) else None

    @property
    def _below(self) -> Image | None:
        session = self._desk.session
        return None if session is None else slide_layer(self._viewer, session)

    @property
    def _cells(self) -> RowCells | None:
        """Of the model and the tissue in use; None while they are not known."""
        found, here = self._predicted, self.measured.here
        if found is None or here is None or found.tissue is not here.tissue:
            return None
        return found.cells if found.cells.model is self._model else None

    def _on_section(self) -> None:
        """Another section, place, slide or model."""
        self._stop_picking()
        self._shown = self._asked = None
        self._leave()
        here, model = self.measured.here, self._model
        if here is None:
            self._box.show_none()
        else:
            self._box.set_genes(())
            self._box.show_section(
                facts(here), here.odd, here.section.notes, self.measured.can_undo
            )
            if model is not None and here.tissue is not None and self._cells is None:
                self._work.run(
                    lambda watch: shared_genes(here, model, None),
                    "Looking for shared genes", self._on_genes,
                )  # fmt: skip
            elif model is not None and self._cells is not None and self._predicted is not None:
                self._tell_genes(here, model, self._predicted.genes)
        self._update()
        self.changed.emit()

    def _on_genes(self, found: object) -> None:
        assert isinstance(found, SharedGenes)
        here, model = self.measured.here, self._model
        # Whatever else is looked at now had this work cancelled.
        if here is not None and model is not None:
            self._tell_genes(here, model, found)
            self._update()

    def _tell_genes(self, here: OnSlide, model: Model, genes: SharedGenes) -> None:
        self._box.facts.setText(f"{facts(here)}, {genes.count:,} of them in {model.name}")
        self._box.set_genes(genes.listed)

    def _on_predicted(self, found: object) -> None:
        assert isinstance(found, Predicted)
        self._predicted = found
        here = self.measured.here
        if here is not None and self._cells is not None:
            self._tell_genes(here, found.cells.model, found.genes)
        self._update()

    def _update(self) -> None:
        """Work out what is asked for, and show it."""
        here, gene, session = self.measured.here, self._panel.gene.current, self._desk.session
        if here is None or gene is None or session is None or here.ref != session.slide.ref:
            return
        model, look = self._model, self._panel.look.look
        why_not = NO_MODEL if model is None else ""
        on_slide = here.tissue is not None
        self._box.show_way(self._way, on_slide, why_not, self.picking.on)
        self._box.set_gene(gene.symbols[0])
        if self._way is RowsWay.CELLS or self.picking.on or not on_slide:
            if not self.picking.on:
                self._leave()
            self._box.show_values(None, "", standard=False)
            self._box.offer_prediction("")
            return
        needed = self._way in NEED_PREDICTED and model is not None and self._cells is None
        if needed and not self._tried and not self._work.busy:
            self.predict()
        rows = f"{0 if here.tissue is None else len(here.tissue):,} {here.section.row_kind}"
        idle = needed and not self._work.busy
        self._box.offer_prediction(f"Predict on these {rows}" if idle else "")
        standard = self._box.standard.isChecked()
        asked = RowsAsked(gene, here, model, self._cells, look, standard)
        if asked == self._asked:
            self._show()
            return
        self._asked = asked
        self._latest.ask(lambda: (asked, rows_shown(asked)))

    def _on_values(self, found: tuple[RowsAsked, RowsShown | None]) -> None:
        asked, shown = found
        if asked == self._asked:
            self._shown = shown
            self._show()
        self.changed.emit()

    def _show(self) -> None:
        here, below, model = self.measured.here, self._below, self._model
        if here is None or below is None or self._way is RowsWay.CELLS or self.picking.on:
            return
        # Until something is predicted, what was measured is there to be looked at.
        ready = self._shown is None or self._shown.predicted is not None
        way = self._way if ready or self._way not in NEED_PREDICTED else RowsWay.MEASURED
        self._hide_cells()
        name = "" if model is None else model.name
        before = self.canvas.way
        self.canvas.show(way, below, here, self._shown, name)
        if way is not before:
            self.laid_out.emit()
        self.pointer.begin(
            here, lambda row: row_text(row, here, self._shown, self._cells, name, self._regions())
        )
        self._tell_values(here, way)

    def _tell_values(self, here: OnSlide, way: RowsWay) -> None:
        shown, gene = self._shown, self._panel.gene.current
        if shown is None:
            waits = self._latest.busy or gene is None
            words = "" if waits or gene is None else not_measured(gene.label, here)
            self._box.show_values(None, words, standard=False)
            return
        self._box.show_values(*told_values(shown, way), standard=way is not RowsWay.RESIDUAL)

    def _on_virtual(self) -> None:
        """The virtual stain has the canvas, or leaves it."""
        if self._virtual.way is not Way.H_AND_E:
            self._stop_picking()
            self.look(RowsWay.CELLS)

    def _hide_cells(self) -> None:
        self._inspecting.on = False
        view = self._desk.view
        if view is not None and (self._hid is None or self._hid[0] is not view):
            self._hid = view, view.seen
            view.set_seen(False, False)

    def _leave(self) -> None:
        """Bring back what was hidden, and one canvas."""
        self.pointer.end()
        self.canvas.leave()
        self._inspecting.on = True
        if self._hid is not None:
            (view, seen), self._hid = self._hid, None
            view.set_seen(*seen)
            self.laid_out.emit()

    def _on_work(self) -> None:
        if self._work.busy:
            self._box.working(self._work.label, self._work.share)
        else:
            self._box.end_work()
            self.opening.tidy()
            self._update()
        self.changed.emit()

    # ---- landmarks ---------------------------------------------------------------------------

    def _stop_picking(self) -> None:
        if self.picking.on:
            self.picking.end()
            self._leave()
            self._update()

    def _on_apply(self) -> None:
        here, affine = self.measured.here, self.picking.landmarks.affine
        if here is not None and affine is not None:
            self._stop_picking()
            self._work.run(
                lambda watch: moved(here, affine, BY_LANDMARKS), "Placing", self._on_placed
            )

    def _on_placed(self, found: object) -> None:
        assert isinstance(found, OnSlide)
        if self._way is RowsWay.CELLS:
            self._way = RowsWay.MEASURED
        self.measured.keep(found)

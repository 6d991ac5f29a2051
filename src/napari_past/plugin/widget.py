"""The dock widget *Virtual staining*: gathers input, has its parts work, shows what they give."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import napari.viewer
from napari.utils.notifications import show_error, show_warning

from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.plugin.dropped import CELL_SUFFIXES, holds_regions, is_classifier, is_heat_map
from napari_past.plugin.keys import bind_keys
from napari_past.plugin.measured.drops import take_drops
from napari_past.plugin.memory import give_back, spare_collector
from napari_past.plugin.pixel_size import set_pixel_size
from napari_past.plugin.region_shapes import keep_edges_visible
from napari_past.plugin.session import Session
from napari_past.plugin.telling import slide_facts
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.viewport import canvas_mpp
from napari_past.plugin.work_line import tell_work
from napari_past.plugin.workbench import Workbench
from napari_past.spatial import kind_of

_DEBOUNCE_MS = 150
_ASK_AGAIN_MS = 300
"""Whether anything goes on: work whose result nobody wants any more ends without a word."""
_TRIM_MS = 3000
"""After the eye rested for so long, memory that is free goes back to the system."""


class VirtualStaining(Workbench):
    """Stains what is looked at, scores regions, exports."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._idle_timer = settling_timer(self, 0, self._tell_idle)
        self._still_busy = settling_timer(self, _ASK_AGAIN_MS, self._tell_idle)
        self._memory_timer = settling_timer(self, _TRIM_MS, give_back)
        self._camera_timer = settling_timer(self, _DEBOUNCE_MS, self._on_camera_rested)
        self._connect_panel()
        self._connect_parts()
        self._connect_viewer()
        self._use_model(self._model)
        self._on_layers_changed()
        spare_collector()

    # ---- what it does ------------------------------------------------------------------------

    def stain_view(self) -> None:
        """Stain what the canvas shows."""
        self._running.stain_view()

    def stain_regions(self) -> None:
        """Stain the selected shapes; with none selected, all regions that are not ignored."""
        self._running.stain_regions(self.regions(selected=True) or self.regions())

    def stain_slide(self) -> None:
        """Stain all tissue."""
        self._running.run(None)

    def cancel(self) -> None:
        """End the run, or else a file that is read or written, or the look-up; what is finished is
        kept. Live goes on where it is switched on."""
        if self._stainer.running:
            self._stainer.cancel()
        elif self._jobs.busy and self._jobs.stoppable:
            self._jobs.stop()
        else:
            self._colouring.looking_up.stop()

    def load_model_file(self, path: str) -> None:
        """Use a model by name or path, once it is read; a file that is none is told of."""
        self._loading.load(path)
        self._on_work()

    def take_path(self, path: Path) -> None:
        """Lay cells, classes, regions, a heat map or measured tissue on the slide: what was dropped
        into the window."""
        if is_heat_map(path):
            self._heat.open(path)
        elif is_classifier(path):
            self._classing.load(str(path))
        elif not path.name.lower().endswith(CELL_SUFFIXES) and kind_of(path) is not None:
            self.tissue.open(path)
        elif holds_regions(path):
            self._region_scores.read(str(path))
        else:
            self._bringing.open(path)

    def take_address(self, address: str) -> None:
        """Open a slide that lies far away."""
        self._opening.open(address)

    def ask_address(self) -> None:
        """Have the user type the address of a slide, and open it."""
        self._opening.ask()

    def open_slide(
        self, place: str, mpp: float | None = None, series: int | str | None = None
    ) -> None:
        """Open a slide from a path or an address, beside the GUI thread."""
        self._opening.open(place, mpp, series)

    def export_cells_to(self, path: str | Path) -> None:
        """Write the cells in the format of the suffix, beside the GUI thread."""
        self._outputs.exporting.cells_to(path)

    def export_scores_to(self, path: str | Path) -> None:
        """Write the table of scores as CSV."""
        self._outputs.exporting.scores_to(path)

    # ---- connections -------------------------------------------------------------------------

    def _connect_panel(self) -> None:
        panel = self.panel
        panel.slide.mpp_given.connect(self._on_mpp_given)
        panel.slide.kind_chosen.connect(self._on_kind)
        panel.models.chosen.connect(self.load_model_file)
        panel.models.bank.clicked.connect(self._bank_dialog.come_up)
        panel.live.toggled.connect(self._follow)
        panel.stain_view.clicked.connect(self.stain_view)
        panel.stain_regions.clicked.connect(self.stain_regions)
        panel.stain_slide.clicked.connect(self.stain_slide)
        panel.cancel.clicked.connect(self.cancel)
        panel.following.linkActivated.connect(self._colouring.go_on)
        panel.tissue.validate.clicked.connect(self._validating.come_up)
        panel.cell.note_changed.connect(self._annotating.set_cell_note)

    def _connect_parts(self) -> None:
        self._slides.chosen.connect(self._open_slide)
        self._bringing.changed.connect(self._on_brought)
        self._stainer.arrived.connect(self._on_arrived)
        self._stainer.changed.connect(self._on_progress)
        self._stainer.failed.connect(self._on_failed)
        self._lost.told.connect(show_warning)
        self._jobs.began.connect(self._on_work)
        self._jobs.went.connect(self._on_work)
        self._jobs.ended.connect(self._on_progress)
        self._loading.loaded.connect(self._on_loaded)
        self._loading.failed.connect(self._on_not_loaded)
        self._loading.ended.connect(self._on_work)
        self._bank_dialog.built.connect(self.load_model_file)
        self._colouring.changed.connect(self._on_coloured)
        self._colouring.stepped.connect(self._region_scores.step)
        self._colouring.stepped.connect(self._virtual.follow)
        self._distribution.changed.connect(self._on_work)
        self._probing.changed.connect(self._on_work)
        self._colouring.looking_up.changed.connect(self._on_work)
        self._region_scores.changed.connect(self._on_work)
        self._density.changed.connect(self._on_work)
        self._colouring.changed.connect(self._virtual.follow)
        self._virtual.changed.connect(self._on_camera)
        self._colouring.changed.connect(self.tissue.follow)
        self.tissue.changed.connect(self._on_work)
        self.tissue.laid_out.connect(self._on_camera)
        self._validating.changed.connect(self._on_work)
        self._validating.evidence_changed.connect(self._on_evidence)
        self._validating.gene_wanted.connect(self.panel.gene.set_gene)
        self._validating.residual_wanted.connect(self.tissue.show_residual)
        self._outputs.changed.connect(self._on_work)
        self._outputs.model_wanted.connect(self.load_model_file)
        self._unscored.changed.connect(self._on_work)
        self._annotating.restored.connect(self._on_restored)

    def _connect_viewer(self) -> None:
        viewer, camera = self._viewer, self._viewer.scene.camera
        for emitter, slot in (
            (viewer.layers.events.inserted, self._on_layers_changed),
            (viewer.layers.events.removed, self._on_layers_changed),
            (camera.events.center, self._on_camera),
            (camera.events.zoom, self._on_camera),
        ):
            emitter.connect(slot)
            self._ties.add(partial(emitter.disconnect, slot))
        step, toggle, flip = self.panel.gene.step, self._virtual.toggle, self.tissue.flip
        self._ties.add(bind_keys(viewer, step, lambda: self.view, self._annotating, toggle, flip))
        self._ties.add(take_drops(viewer, self))
        for close in (
            self._stainer.close, self._jobs.clear, self._unscored.close, self._microscope.close,
            self._annotating.close, self._inspecting.close, self._colouring.close,
            self._bank_dialog.cancel, self._outputs.cancel, self._virtual.close,
            self._validating.cancel, self.tissue.close, self._bringing.close,
            self._tma.close, self._heat.close, self._probing.close,
        ):  # fmt: skip
            self._ties.add(close)
        self._ties.cut_with(self)

    # ---- slides and models -------------------------------------------------------------------

    def _use_model(self, model: Model) -> None:
        self._model = model
        self.panel.models.set_model(model)
        self.panel.gene.set_model(model)
        self.panel.second.set_model(model)
        self.panel.types.set_model(model)
        self.panel.banner.set_model(model, None)
        self._bank_dialog.set_model(model)
        self._outputs.set_model(model)
        self._validating.set_model(model)

    def _on_evidence(self) -> None:
        """Badges of the model rest on another validation."""
        self.panel.gene.tell_badge_again()
        self.panel.second.tell_badge_again()
        self._inspecting.tell_again()

    def _on_loaded(self, model: Model) -> None:
        # First: what is shown is of the former model, and its genes may not be those of this one.
        self._close_session()
        if self.view is not None:
            self.view.hide()
        self._use_model(model)
        self._open_slide()

    def _on_not_loaded(self, why: str) -> None:
        show_error(why)
        self.panel.models.set_model(self._model)

    def _on_layers_changed(self, event: object = None) -> None:
        self._slides.follow_layers()
        self._region_scores.follow_layers()
        self.tissue.follow_slides()
        self._bringing.follow_slides(self._slides.refs)
        self._heat.follow_slides(self._slides.refs)

    def _on_mpp_given(self, mpp: float) -> None:
        set_pixel_size(self._viewer, self._viewer.layers, mpp)
        self._open_slide()

    def _on_kind(self, kind: str) -> None:
        session = self._session
        if session is None or kind == session.kind:
            return
        self._kinds.keep(session, kind)
        if self.view is not None:
            self.view.hide()
        self._open_slide(kind)

    def _on_brought(self) -> None:
        """Other cells are wanted: those of before are another session's."""
        if self.view is not None:
            self.view.hide()
        self._open_slide()

    def _open_slide(self, kind: str | None = None) -> None:
        self._close_session()
        slides, model = self._slides, self._model
        asking, layer, ref = slides.without_mpp, slides.layer, slides.ref
        self.panel.slide.ask(asking)
        self._microscope.set_slide(None if asking else layer)
        self._opening.follow(layer)
        if layer is None or asking:
            self._kinds.leave(model)
        self._region_scores.score()
        self._refresh()
        if layer is None or ref is None or asking:
            return
        scale_bar = self._viewer.canvas.overlays.scale_bar
        scale_bar.visible = scale_bar.box = True
        self.panel.slide.set_facts(f"{layer.scale[-1]:.4g} µm/px · reading the slide …")
        brought = self._bringing.of(ref)
        self._jobs.run(
            lambda job: Session(ref, model, job.cancelled, kind, brought),
            "Reading the slide", self._on_opened,
        )  # fmt: skip

    def _close_session(self) -> None:
        self._jobs.clear()
        # First: a note that is being written is told now.
        self._inspecting.set_table(None)
        self._colouring.forget()
        self._density.forget()
        self._virtual.forget()
        self.tissue.set_session(None)
        self._outputs.set_session(None)
        self._classing.set_session(None)
        self._stainer.set_session(None)
        self._unscored.set_slide(None)
        self._annotating.set_slide(None)
        if self._session is not None:
            self._session.close()
            self._session = None
        self._damage.follow(None)
        self._bringing.follow()
        self._heat.follow()

    def _on_opened(self, session: object) -> None:
        assert isinstance(session, Session)
        if session.slide.ref != self._slides.ref or session.asked_model is not self._model:
            session.close()
            return
        self._kinds.follow(session)
        self._session = session
        self._inspecting.set_table(session.table)
        self._annotating.set_slide(session.slide)
        self._unscored.set_slide(session.slide)
        self._outputs.set_session(session)
        self._classing.set_session(session)
        self._stainer.set_session(session)
        if self.panel.live.isChecked():
            self._stainer.warm()
        self.tissue.set_session(session)
        self._colouring.choose()
        self._bringing.follow()
        self._heat.follow()
        self._follow()

    # ---- staining ----------------------------------------------------------------------------

    def _follow(self) -> None:
        self._running.follow(self.panel.live.isChecked())

    def _on_arrived(self) -> None:
        self._colouring.looking_up.grow()
        self._colouring.grow()
        self._probing.grow()

    def _on_progress(self) -> None:
        self._on_work()
        session = self._session
        if session is not None:
            self.panel.slide.set_facts(slide_facts(session))
            self._damage.follow(session)
            self._microscope.overview.set_analysed(session.tile_rects())
        self._refresh()

    def _on_work(self) -> None:
        """Some work began, went on or ended."""
        self._was_busy |= self.busy
        looking_up, live = self._colouring.looking_up, self._running.live_line
        tell_work(self.panel, self._stainer, self._loading, self._jobs, looking_up, live)
        # In the midst of what a part tells others may not have begun their share yet.
        self._idle_timer.start()

    def _on_failed(self, error: PastError) -> None:
        # Else Live would run into the same at the next move of the view.
        self.panel.live.setChecked(False)
        show_error(str(error))

    def _tell_idle(self) -> None:
        if self.busy:
            self._was_busy = True
            self._still_busy.start()
        elif self._was_busy:
            self._was_busy = False
            self.idle.emit()

    def _on_coloured(self) -> None:
        """Other colours are shown, or more cells."""
        if self._session is not None:
            session = self._session
            self.panel.banner.set_model(session.model, session.table, session.mismatch)
        self._inspecting.tell_again()
        self._region_scores.why_not = self._colouring.why_not
        self._region_scores.score()
        self._refresh()
        self.cells_changed.emit()

    def _refresh(self) -> None:
        ready = self._slides.bounds is not None
        can_stain = ready and not self._stainer.running
        self.panel.set_state(can_stain, has_cells=bool(self.cells), has_slide=ready)

    def _on_restored(self) -> None:
        """Undo, redo or an earlier session brought other regions, notes or cut-offs."""
        self.panel.regions.set_notes(self._annotating.region_notes)
        self._colouring.choose()

    # ---- camera and pointer ------------------------------------------------------------------

    def _on_camera(self, event: object = None) -> None:
        self._microscope.follow_camera()
        self._camera_timer.start()

    def _on_camera_rested(self) -> None:
        self._colouring.follow_camera()
        self.tissue.follow_camera()
        self._tma.follow_camera()
        self._distribution.follow()
        keep_edges_visible(self._viewer.layers, canvas_mpp(self._viewer))
        self._follow()
        if not self._memory_timer.isActive():
            self._memory_timer.start()

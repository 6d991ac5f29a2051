"""The dock widget *Virtual staining*: gathers input, has its parts work, shows what they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import napari.viewer
from napari.layers import Image, Layer, Shapes
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QCoreApplication, QObject, Signal
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QToolTip, QVBoxLayout, QWidget

from napari_past.engine import CellTable, Workers, chosen_cutoffs, cores
from napari_past.errors import GeneError, MissingCutoffs, PastError
from napari_past.io import write_score_csv
from napari_past.model import DEFAULT_MODEL, Model, load_model
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.cell_details import CellFacts
from napari_past.plugin.export import export_cells
from napari_past.plugin.facts import facts_of
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.memory import give_back, keep_in_few_pools
from napari_past.plugin.microscope import MICROSCOPE_KEYS, Microscope
from napari_past.plugin.panel import Panel
from napari_past.plugin.pixel_size import in_pixels, set_pixel_size
from napari_past.plugin.pointer import Pointer
from napari_past.plugin.reader import slide_ref
from napari_past.plugin.region_shapes import (
    add_regions_layer,
    all_regions,
    complete_names,
    set_role,
)
from napari_past.plugin.scoring import Scoring
from napari_past.plugin.session import Session
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.stainer import Stainer
from napari_past.plugin.staining import Staining, staining
from napari_past.plugin.ties import Ties
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.viewport import clipped, fly_to, view_rect
from napari_past.stain import ScoreTable
from napari_past.types import Rect, Region

MOST_VIEW_MM2 = 6.0
"""A view that covers more is a run to be started knowingly, and Live waits."""
LIMITS_HOLD = 2
"""Automatic limits are taken anew when there are so many times the cells they came from."""
NICENESS = 10
"""Of the workers: the viewer has the right of way."""
_DEBOUNCE_MS = 150
_TRIM_MS = 3000
"""After the eye rested for so long, memory that is free goes back to the system."""
KEYS = {
    "G": "next gene",
    "Shift-G": "previous gene",
    "H": "stain on/off",
    "O": "outlines on/off",
    "Ctrl-Z": "undo",
    **MICROSCOPE_KEYS,
}


class VirtualStaining(QWidget):
    """Stains what is looked at, scores regions, exports.

    `cells_changed` is emitted when cells are shown anew, `idle` when nothing that was asked for is
    left to do (the ring of tiles around the view is nobody's wish).
    """

    cells_changed = Signal()
    idle = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        keep_in_few_pools()
        self._lost = _LostWorker(self)
        # A core is left to the viewer.
        threads = max(1, (cores()) - 1)
        workers = Workers(threads=threads, niceness=NICENESS, on_lost=self._lost.told.emit)
        self._stainer = Stainer(workers, self)
        self._jobs = Jobs(self)
        self._scoring = Scoring(self)
        self._unscored = Unscored(viewer, self)
        self._microscope = Microscope(viewer)
        self._pointer = Pointer(viewer, self)
        self._annotating = Annotating(viewer, self)
        self._model: Model = load_model(DEFAULT_MODEL)
        self._layer: Image | None = None
        self._session: Session | None = None
        self._views: dict[Layer, SlideView] = {}
        self._scores: ScoreTable | None = None
        self._why_not = ""
        self._was_busy = False
        self._picked = -1
        """The cell whose details are shown; −1 for none."""
        self._limits_of = 0
        """Cells that there were when the limits of the colours were taken."""
        self._ties = Ties()
        self.panel = Panel(KEYS, self._microscope.overview)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._memory_timer = settling_timer(self, _TRIM_MS, give_back)
        self._camera_timer = settling_timer(self, _DEBOUNCE_MS, self._on_camera_rested)
        self._region_timer = settling_timer(self, _DEBOUNCE_MS, self._on_regions_rested)
        self._connect_panel()
        self._connect_parts()
        self._connect_viewer()
        self._use_model(self._model)
        self._on_layers_changed()

    # ---- what it shows -----------------------------------------------------------------------

    @property
    def view(self) -> SlideView | None:
        """The layers of the slide that is chosen."""
        return None if self._layer is None else self._views.get(self._layer)

    @property
    def cells(self) -> CellTable | None:
        """The cells that are shown, of all tiles that were analysed on this slide."""
        return None if self._session is None else self._session.table

    @property
    def shown(self) -> Staining | None:
        """The gene as it is shown; None while the cells are of another model than the colours."""
        view = self.view
        return view.shown if view is not None and view.table is self.cells else None

    @property
    def scores(self) -> ScoreTable | None:
        """What the table of regions holds."""
        return self._scores

    @property
    def busy(self) -> bool:
        """Whether something that was asked for goes on."""
        stainer = self._stainer
        jobs = self._jobs.busy or self._scoring.busy or self._unscored.busy
        return bool(jobs or stainer.running or stainer.waiting_in_view)

    @property
    def session(self) -> Session | None:
        """The chosen slide with the chosen model; None while it is read."""
        return self._session

    @property
    def slide_bounds(self) -> Rect | None:
        """The chosen slide in µm; None without one or without its pixel size."""
        if self._layer is None or in_pixels(self._layer):
            return None
        height_px, width_px = self._layer.data[0].shape[:2]
        mpp = float(self._layer.scale[-1])
        return Rect(0.0, 0.0, width_px * mpp, height_px * mpp)

    def regions(self, selected: bool = False) -> tuple[Region, ...]:
        """Regions of every shapes layer in µm, or the selected shapes alone."""
        return all_regions(self._viewer.layers, selected)

    # ---- what it does ------------------------------------------------------------------------

    def stain_view(self) -> None:
        """Stain what the canvas shows."""
        area = self._view_on_slide()
        if area is None:
            show_warning("The slide is not in view; move to its tissue and try again.")
        elif _mm2(area) > MOST_VIEW_MM2:
            show_warning(
                f"This view covers {_mm2(area):.0f} mm²; zoom in to {MOST_VIEW_MM2:.0f} mm² or "
                f"less, or use Whole slide."
            )
        else:
            self._run(area)

    def stain_regions(self) -> None:
        """Stain the selected shapes; with none selected, all regions that are not ignored."""
        regions = self.regions(selected=True) or self.regions()
        wanted = tuple(r for r in regions if not r.ignored)
        if not wanted:
            show_warning("There is no region to stain; draw one with New regions layer first.")
            return
        self._run(None, wanted)

    def stain_slide(self) -> None:
        """Stain all tissue."""
        self._run(None)

    def cancel(self) -> None:
        """End the run; finished tiles are kept. Live goes on where it is switched on."""
        self._stainer.cancel()

    def load_model_file(self, path: str) -> None:
        """Use a model by name or path; a file that is no model is told in a notification."""
        try:
            model = load_model(path)
            _ = model.genes  # its bank, if it has one, is opened here, where a mistake can be told
        except PastError as exc:
            show_error(str(exc))
            self.panel.models.set_model(self._model)
            return
        # First: what is shown is of the former model, and its genes may not be those of this one.
        self._close_session()
        if self.view is not None:
            self.view.hide()
        self._use_model(model)
        self._open_slide()

    def export_cells_to(self, path: str | Path) -> None:
        """Write the cells in the format of the suffix, beside the GUI thread."""
        session, shown, regions = self._session, self.shown, self.regions()
        if session is None:
            return
        if shown is None:
            show_warning(self._nothing_shown)
            return
        target, mask = Path(path), self._unscored.mask
        notes = self._annotating.cell_notes

        def work(job: Job) -> int:
            cells = session.cells()
            cells.quality = mask
            export_cells(cells, shown.resolved, shown.cutoffs, target, regions, notes)
            return len(cells)

        def done(n: object) -> None:
            show_info(f"Saved {n:,} cells to {target}.")

        self._jobs.run(work, f"Writing {target.name}", done)

    @property
    def _nothing_shown(self) -> str:
        """Why no gene is shown, and what to do."""
        if not self._model.genes:
            return (
                f"{self._model.name} has no read-out, so nothing can be shown: load a model with "
                f"one, or one with a reference bank (`past-train bank`)."
            )
        return "No gene is shown: choose one first."

    def export_scores_to(self, path: str | Path) -> None:
        """Write the table of scores as CSV."""
        session, shown = self._session, self.shown
        if self._scores is None or session is None or shown is None:
            show_warning("There are no scores to export.")
            return
        scores, target = self._scores, Path(path)
        origin = session.origin_of_scores(shown.resolved)

        def work(job: Job) -> None:
            write_score_csv(scores, target, origin)

        self._jobs.run(work, f"Writing {target.name}",
                       lambda _: show_info(f"Saved the scores to {target}."))  # fmt: skip

    # ---- connections -------------------------------------------------------------------------

    def _connect_panel(self) -> None:
        panel = self.panel
        panel.slide.chosen.connect(self._on_slide_chosen)
        panel.slide.mpp_given.connect(self._on_mpp_given)
        panel.models.chosen.connect(self.load_model_file)
        panel.gene.resolved.connect(self._on_gene)
        panel.second.resolved.connect(self._show_again)
        panel.compare.toggled.connect(self._show_again)
        panel.live.toggled.connect(self._follow)
        panel.stain_view.clicked.connect(self.stain_view)
        panel.stain_regions.clicked.connect(self.stain_regions)
        panel.stain_slide.clicked.connect(self.stain_slide)
        panel.cancel.clicked.connect(self.cancel)
        panel.look.changed.connect(self._show_again)
        panel.cutoffs.changed.connect(self._on_cutoffs)
        panel.regions.new_layer.connect(self._on_new_regions)
        panel.regions.role_chosen.connect(self._on_role)
        panel.regions.region_chosen.connect(self._on_region_chosen)
        panel.regions.unscored.edit.connect(self._unscored.edit)
        panel.regions.unscored.read.connect(self._unscored.read)
        panel.regions.unscored.counted.connect(self._unscored.set_counted)
        panel.regions.note_given.connect(self._annotating.set_region_note)
        panel.cell.note_changed.connect(self._annotating.set_cell_note)
        panel.export.cells_to.connect(self.export_cells_to)
        panel.export.scores_to.connect(self.export_scores_to)

    def _connect_parts(self) -> None:
        self._stainer.arrived.connect(self._on_arrived)
        self._stainer.changed.connect(self._on_progress)
        self._stainer.failed.connect(self._on_failed)
        self._lost.told.connect(show_warning)
        self._jobs.began.connect(self._on_job_began)
        self._jobs.ended.connect(self._on_job_ended)
        self._scoring.scored.connect(self._on_scored)
        self._unscored.changed.connect(self._on_unscored)
        self._pointer.hovered.connect(self._on_hovered)
        self._pointer.picked.connect(self._on_picked)
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
        for key, action in {
            "G": lambda _: self.panel.gene.step(1),
            "Shift-G": lambda _: self.panel.gene.step(-1),
            "H": lambda _: self._toggle(SlideView.toggle_stain),
            "O": lambda _: self._toggle(SlideView.toggle_outlines),
            "Control-Z": lambda _: self._annotating.undo(),
            "Control-Shift-Z": lambda _: self._annotating.redo(),
        }.items():
            viewer.bind_key(key, action, overwrite=True)
            self._ties.add(partial(viewer.bind_key, key, None))
        self._ties.add(self._stainer.close)
        self._ties.add(self._jobs.clear)
        self._ties.add(self._unscored.close)
        self._ties.add(self._microscope.close)
        self._ties.add(self._annotating.close)
        self._ties.add(self._pointer.disconnect_viewer)
        # Slots of this object are gone when `destroyed` is emitted; `Ties` is no QObject.
        self.destroyed.connect(self._ties.cut)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._ties.cut)

    def _toggle(self, what: Callable[[SlideView], None]) -> None:
        if self.view is not None:
            what(self.view)

    # ---- slides and models -------------------------------------------------------------------

    def _use_model(self, model: Model) -> None:
        self._model = model
        self.panel.models.set_model(model)
        self.panel.gene.set_model(model)
        self.panel.second.set_model(model)
        self.panel.banner.set_model(model, None)

    def _on_layers_changed(self, event: object = None) -> None:
        slides = [layer for layer in self._viewer.layers if slide_ref(layer.metadata) is not None]
        self._views = {layer: view for layer, view in self._views.items() if layer in slides}
        for layer in self._viewer.layers:
            if isinstance(layer, Shapes):
                self._watch(layer)
        current = self._layer if self._layer in slides else (slides[-1] if slides else None)
        self.panel.slide.set_slides([s.name for s in slides], current.name if current else None)
        if current is not self._layer:
            self._layer = current
            self._open_slide()
        self._region_timer.start()

    def _watch(self, layer: Shapes) -> None:
        for emitter in (layer.events.data, layer.events.features):
            emitter.disconnect(self._on_regions)
            emitter.connect(self._on_regions)

    def _on_slide_chosen(self, name: str) -> None:
        chosen = next((layer for layer in self._viewer.layers if layer.name == name), None)
        if chosen is not self._layer:
            self._layer = chosen
            self._open_slide()

    def _on_mpp_given(self, mpp: float) -> None:
        set_pixel_size(self._viewer, self._viewer.layers, mpp)
        self._open_slide()

    def _open_slide(self) -> None:
        self._close_session()
        layer = self._layer
        asking = layer is not None and in_pixels(layer)
        self.panel.slide.ask(asking)
        self._microscope.set_slide(None if asking else layer)
        self._score()
        self._refresh()
        bounds = self.slide_bounds
        if layer is None or bounds is None:
            return
        scale_bar = self._viewer.canvas.overlays.scale_bar
        scale_bar.visible = scale_bar.box = True
        self.panel.slide.set_facts(f"{layer.scale[-1]:.4g} µm/px · reading the slide …")
        self._views.setdefault(layer, SlideView(self._viewer, (bounds.width_um, bounds.height_um)))
        ref, model = slide_ref(layer.metadata), self._model
        assert ref is not None, "only slide layers are listed"
        self._jobs.run(
            lambda job: Session(ref, model, job.cancelled), "Reading the slide", self._on_opened
        )

    def _close_session(self) -> None:
        self._jobs.clear()
        # First: a note that is being written is told now.
        self._on_picked(-1)
        self._stainer.set_session(None)
        self._unscored.set_slide(None)
        self._annotating.set_slide(None)
        self._pointer.table = None
        if self._session is not None:
            self._session.close()
            self._session = None

    def _on_opened(self, session: object) -> None:
        assert isinstance(session, Session)
        ref = None if self._layer is None else slide_ref(self._layer.metadata)
        if session.slide.ref != ref or session.model is not self._model:
            session.close()
            return
        self._session = session
        self._pointer.table = session.table
        self._annotating.set_slide(session.slide)
        self._unscored.set_slide(session.slide)
        self._stainer.set_session(session)
        if self.panel.live.isChecked():
            self._stainer.warm()
        self._on_gene()
        self._follow()

    def _tell_slide(self) -> None:
        session = self._session
        if session is None:
            return
        width_mm, height_mm = (side_um / 1000 for side_um in session.slide.size_um)
        done, total = session.analysed_tiles, len(session.whole.tiles)
        text = (
            f"{session.slide.require_mpp():.4g} µm/px · {width_mm:.1f} x {height_mm:.1f} mm"
            f" · {done:,} of {total:,} tiles analysed"
        )
        if session.unreadable:
            text += f" · {len(session.unreadable):,} tiles cannot be read"
        self.panel.slide.set_facts(text)
        self._microscope.overview.set_analysed(session.tile_rects())

    # ---- staining ----------------------------------------------------------------------------

    def _view_on_slide(self) -> Rect | None:
        bounds = self.slide_bounds
        return None if bounds is None else clipped(view_rect(self._viewer), bounds)

    def _follow(self) -> None:
        """Live: want the tiles in view, unless the view is too wide to be useful."""
        area = self._view_on_slide()
        useful = area is not None and _mm2(area) <= MOST_VIEW_MM2
        self._stainer.follow(area if self.panel.live.isChecked() and useful else None)

    def _run(self, area: Rect | None, regions: tuple[Region, ...] = ()) -> None:
        def start(_: object = None) -> None:
            session = self._session
            if session is None:
                return
            try:
                self._stainer.run(session.tiles_of(area, regions))
            except PastError as exc:
                show_warning(str(exc))

        if self._jobs.busy and self._session is None:
            # A click while the slide is being read waits for it.
            self._jobs.run(lambda job: None, "Reading the slide", start)
        else:
            start()

    def _on_arrived(self) -> None:
        view, session = self.view, self._session
        if view is None or session is None:
            return
        n = len(session.table)
        known = view.table is session.table and view.shown is not None
        if known and n <= LIMITS_HOLD * self._limits_of:
            view.grow()
            self.panel.banner.set_model(self._model, session.table)
            self._score()
            self.cells_changed.emit()
        else:
            self._show_again()

    def _on_progress(self) -> None:
        stainer, panel = self._stainer, self.panel
        if stainer.running:
            panel.working("Staining", stainer.run_done, stainer.run_total)
        elif not self._jobs.busy:
            panel.end()
        panel.tell_following(self._following())
        self._tell_slide()
        self._refresh()
        self._tell_idle()

    def _following(self) -> str:
        """What Live does, in words; empty where there is nothing to say."""
        area = self._view_on_slide()
        if not self.panel.live.isChecked() or area is None or self._session is None:
            return ""
        if _mm2(area) > MOST_VIEW_MM2:
            if self._stainer.running or not self._unfinished():
                return ""
            return (
                f"Live waits: this view covers {_mm2(area):.0f} mm². Zoom in to "
                f"{MOST_VIEW_MM2:.0f} mm² or less; what is analysed is shown."
            )
        waiting = self._stainer.waiting_in_view
        return f"Live: {waiting} tiles in view to go." if waiting else ""

    def _unfinished(self) -> bool:
        session = self._session
        return session is not None and session.analysed_tiles < len(session.whole.tiles)

    def _on_failed(self, error: PastError) -> None:
        # Else Live would run into the same at the next move of the view.
        self.panel.live.setChecked(False)
        show_error(str(error))

    def _on_job_began(self, label: str) -> None:
        self._was_busy = True
        self.panel.working(label)

    def _on_job_ended(self) -> None:
        if not self._jobs.busy:
            self.panel.end()
        self._on_progress()

    def _tell_idle(self) -> None:
        busy = self.busy
        if self._was_busy and not busy:
            self.idle.emit()
        self._was_busy = busy

    # ---- genes and colours -------------------------------------------------------------------

    def _on_gene(self) -> None:
        gene = self.panel.gene.current
        if gene is None:
            return
        preset, self._why_not = None, ""
        try:
            gene.require_scorable()
            preset = chosen_cutoffs(self._model, gene)
        except (GeneError, MissingCutoffs) as exc:
            self._why_not = str(exc)
        chosen = self._annotating.cutoffs(self._model.name, gene) or preset
        self.panel.cutoffs.set_cutoffs(preset, chosen, self._why_not)
        self.panel.look.forget_limits()
        self._show_again()

    def _on_cutoffs(self) -> None:
        gene, chosen = self.panel.gene.current, self.panel.cutoffs.cutoffs
        if gene is not None and chosen is not None:
            kept = None if chosen == self.panel.cutoffs.preset else chosen
            self._annotating.set_cutoffs(self._model.name, gene, kept)
        self._show_again()

    def _show_again(self) -> None:
        gene, view, session = self.panel.gene.current, self.view, self._session
        if gene is None or view is None or session is None:
            return
        panel = self.panel
        compared = panel.second.current if panel.compare.isChecked() else None
        look = replace(panel.look.look, as_classes=panel.cutoffs.classes_shown)
        before = view.shown if view.table is session.table else None
        try:
            shown = staining(session.table, gene, panel.cutoffs.cutoffs, look, compared, before)
        except PastError as exc:  # the file of a bank is gone, or damaged
            show_error(str(exc))
            return
        view.show(session.table, shown)
        self._limits_of = len(session.table)
        panel.cutoffs.legend.set_staining(shown)
        panel.look.set_staining(shown)
        panel.banner.set_model(self._model, session.table)
        self._on_picked(self._picked)
        self._score()
        self._refresh()
        self.cells_changed.emit()

    def _refresh(self) -> None:
        ready = self._layer is not None and not in_pixels(self._layer)
        cells = self.cells
        self.panel.set_state(
            can_stain=ready and not self._stainer.running,
            has_cells=cells is not None and len(cells) > 0,
        )

    # ---- scores, regions, what is not scored ---------------------------------------------------

    def _score(self) -> None:
        session, part = self._session, ""
        if session is not None and session.analysed_tiles < len(session.whole.tiles):
            part = (
                f"Only analysed tissue counts ({session.analysed_tiles:,} of "
                f"{len(session.whole.tiles):,} tiles)."
            )
        self._scoring.ask(
            self.cells, self.shown, self.regions(), self._unscored.used, self._why_not, part
        )
        self._was_busy |= self.busy

    def _on_scored(self, scores: ScoreTable | None, note: str) -> None:
        self._scores = scores
        self.panel.regions.set_table(scores, note)
        self._tell_idle()

    def _on_unscored(self) -> None:
        self.panel.regions.unscored.set_note(self._unscored.note)
        self._score()
        self._tell_idle()

    def _on_new_regions(self) -> None:
        add_regions_layer(self._viewer)

    def _on_role(self, role: str) -> None:
        active = self._viewer.layers.selection.active
        if isinstance(active, Shapes):
            set_role(active, role)

    def _on_regions(self, event: object = None) -> None:
        self._region_timer.start()

    def _on_regions_rested(self) -> None:
        for layer in self._viewer.layers:
            if isinstance(layer, Shapes):
                complete_names(layer)
        self._annotating.take_regions()
        self._score()

    def _on_restored(self) -> None:
        """Undo, redo or an earlier session brought other regions, notes or cut-offs."""
        self.panel.regions.set_notes(self._annotating.region_notes)
        self._on_gene()

    def _on_region_chosen(self, name: str) -> None:
        bounds = next((r.bounds for r in self.regions() if r.name == name), self.slide_bounds)
        if bounds is not None:
            fly_to(self._viewer, bounds)

    # ---- camera and pointer ------------------------------------------------------------------

    def _on_camera(self, event: object = None) -> None:
        self._microscope.follow_camera()
        self._camera_timer.start()

    def _on_camera_rested(self) -> None:
        if self.view is not None:
            self.view.follow_camera()
        self._follow()
        if not self._memory_timer.isActive():
            self._memory_timer.start()

    def _on_hovered(self, cell: int) -> None:
        facts = self._tell_cell(cell if cell >= 0 else self._picked)
        if cell >= 0 and facts is not None:
            QToolTip.showText(QCursor.pos(), facts.summary)
        else:
            QToolTip.hideText()

    def _on_picked(self, cell: int) -> None:
        self._picked = cell
        self._pointer.mark(cell)
        self._tell_cell(cell)

    def _tell_cell(self, cell: int) -> CellFacts | None:
        table, shown = self.cells, self.shown
        facts = None
        if cell >= 0 and table is not None and shown is not None:
            facts = facts_of(cell, table, shown, self._unscored.mask, self._annotating.cell_notes)
        self.panel.cell.show_cell(facts)
        return facts


class _LostWorker(QObject):
    """Hands the workers' news, told in their threads, to the GUI thread."""

    told = Signal(str)


def _mm2(rect: Rect) -> float:
    return rect.width_um * rect.height_um / 1e6

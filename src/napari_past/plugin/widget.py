"""The dock widget *Virtual staining*: gathers input, starts jobs, shows what they give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import napari.viewer
from napari.layers import Image, Layer, Shapes
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QCoreApplication, QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_past.engine import Cells, Progress, chosen_cutoffs, origin_of_scores
from napari_past.errors import Cancelled, GeneError, MissingCutoffs, PastError, WorkerFailed
from napari_past.io import write_score_csv
from napari_past.model import DEFAULT_MODEL, Model, load_model
from napari_past.plugin.export import export_cells
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.panel import Panel
from napari_past.plugin.pixel_size import in_pixels, set_pixel_size
from napari_past.plugin.pool import TilePool
from napari_past.plugin.reader import slide_ref
from napari_past.plugin.region_box import score_note
from napari_past.plugin.region_shapes import (
    add_regions_layer,
    all_regions,
    complete_names,
    set_role,
)
from napari_past.plugin.session import Session
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.staining import Staining, staining
from napari_past.plugin.ties import Ties
from napari_past.plugin.viewport import clipped, fly_to, view_rect
from napari_past.stain import ScoreTable, score_table
from napari_past.types import Cutoffs, Rect, Region

MOST_VIEW_MM2 = 6.0
"""A view that covers more is a run to be started knowingly."""
_DEBOUNCE_MS = 150
_WARM_AFTER_MS = 1000
"""The slide is drawn first; then the worker process imports torch."""
KEYS = {"G": "next gene", "Shift-G": "previous gene", "H": "stain on/off", "O": "outlines on/off"}


class VirtualStaining(QWidget):
    """Stains what is looked at, scores regions, exports. One job runs at a time.

    `cells_changed` is emitted when cells are shown anew, `idle` when a job has ended and none
    waits.
    """

    cells_changed = Signal()
    idle = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._pool = TilePool()
        self._jobs = Jobs(self)
        self._model: Model = load_model(DEFAULT_MODEL)
        self._layer: Image | None = None
        self._session: Session | None = None
        self._views: dict[Layer, SlideView] = {}
        self._given_cutoffs: dict[tuple[str, ...], Cutoffs] = {}
        self._scores: ScoreTable | None = None
        self._why_not = ""
        self._ties = Ties()
        self.panel = Panel(KEYS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._camera_timer = self._timer(self._on_camera_rested)
        self._region_timer = self._timer(self._on_regions_rested)
        self._warm_timer = self._timer(self._on_warm)
        self._connect_panel()
        self._connect_viewer()
        self._use_model(self._model)
        self._on_layers_changed()

    # ---- what it shows -----------------------------------------------------------------------

    @property
    def view(self) -> SlideView | None:
        """The layers of the slide that is chosen."""
        return None if self._layer is None else self._views.get(self._layer)

    @property
    def cells(self) -> Cells | None:
        """The cells that are shown, of all tiles that were analysed on this slide."""
        return None if self.view is None else self.view.cells

    @property
    def shown(self) -> Staining | None:
        """The gene as it is shown."""
        return None if self.view is None else self.view.shown

    @property
    def scores(self) -> ScoreTable | None:
        """What the table of regions holds."""
        return self._scores

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._jobs.busy

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
        bounds = self.slide_bounds
        area = None if bounds is None else clipped(view_rect(self._viewer), bounds)
        if area is None:
            show_warning("The slide is not in view; move to its tissue and try again.")
            return
        covered_mm2 = area.width_um * area.height_um / 1e6
        if covered_mm2 > MOST_VIEW_MM2:
            show_warning(
                f"This view covers {covered_mm2:.0f} mm²; zoom in to {MOST_VIEW_MM2:.0f} mm² or "
                f"less, or use Whole slide."
            )
            return
        self._stain(area)

    def stain_regions(self) -> None:
        """Stain the selected shapes; with none selected, all regions that are not ignored."""
        regions = self.regions(selected=True) or self.regions()
        wanted = tuple(r for r in regions if not r.ignored)
        if not wanted:
            show_warning("There is no region to stain; draw one with New regions layer first.")
            return
        self._stain(None, wanted)

    def stain_slide(self) -> None:
        """Stain all tissue."""
        self._stain(None)

    def cancel(self) -> None:
        """End the job at its next tile; finished tiles are kept."""
        self._jobs.cancel()

    def load_model_file(self, path: str) -> None:
        """Use a model by name or path; a file that is no model is told in a notification."""
        try:
            model = load_model(path)
        except PastError as exc:
            show_error(str(exc))
            return
        self._given_cutoffs.clear()
        self._use_model(model)
        self._open_slide()

    def export_cells_to(self, path: str | Path) -> None:
        """Write the cells in the format of the suffix, beside the GUI thread."""
        cells, shown, regions = self.cells, self.shown, self.regions()
        if cells is None or shown is None:
            return
        target = Path(path)
        self._jobs.run(
            lambda job: export_cells(cells, shown, regions, target),
            f"Writing {target.name}",
            lambda result: show_info(f"Saved {len(cells):,} cells to {target}."),
        )

    def export_scores_to(self, path: str | Path) -> None:
        """Write the table of scores as CSV."""
        cells, shown = self.cells, self.shown
        if self._scores is None or cells is None or shown is None:
            show_warning("There are no scores to export.")
            return
        try:
            write_score_csv(self._scores, path, origin_of_scores(cells, shown.resolved.name))
        except PastError as exc:
            show_error(str(exc))
        else:
            show_info(f"Saved the scores to {path}.")

    # ---- connections -------------------------------------------------------------------------

    def _timer(self, slot: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(_DEBOUNCE_MS)
        timer.timeout.connect(slot)
        return timer

    def _connect_panel(self) -> None:
        panel, jobs = self.panel, self._jobs
        panel.slide.chosen.connect(self._on_slide_chosen)
        panel.slide.mpp_given.connect(self._on_mpp_given)
        panel.models.chosen.connect(self.load_model_file)
        panel.gene.resolved.connect(self._on_gene)
        panel.stain_view.clicked.connect(self.stain_view)
        panel.stain_regions.clicked.connect(self.stain_regions)
        panel.stain_slide.clicked.connect(self.stain_slide)
        panel.cancel.clicked.connect(self.cancel)
        panel.cutoffs.changed.connect(self._on_cutoffs)
        panel.regions.new_layer.connect(self._on_new_regions)
        panel.regions.role_chosen.connect(self._on_role)
        panel.regions.region_chosen.connect(self._on_region_chosen)
        panel.export.cells_to.connect(self.export_cells_to)
        panel.export.scores_to.connect(self.export_scores_to)
        jobs.began.connect(self._on_began)
        jobs.progressed.connect(self._on_progress)
        jobs.found.connect(self._on_cells)
        jobs.failed.connect(self._on_failed)
        jobs.ended.connect(self._on_job_ended)
        jobs.idle.connect(self.idle)

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
            "H": lambda _: self._toggle(SlideView.toggle_points),
            "O": lambda _: self._toggle(SlideView.toggle_outlines),
        }.items():
            viewer.bind_key(key, action, overwrite=True)
            self._ties.add(partial(viewer.bind_key, key, None))
        self._ties.add(self._pool.close)
        self._ties.add(self._jobs.clear)
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
        if self._session is not None:
            self._session.close()
            self._session = None
        layer = self._layer
        asking = layer is not None and in_pixels(layer)
        self.panel.slide.ask(asking)
        if layer is None or asking:
            self._jobs.clear()
            self._score()
            self._refresh()
            return
        self._viewer.canvas.overlays.scale_bar.visible = True
        self.panel.slide.set_facts(f"{layer.scale[-1]:.4g} µm/px · reading the slide …")
        self._views.setdefault(layer, SlideView(self._viewer))
        ref, model = slide_ref(layer.metadata), self._model
        assert ref is not None, "only slide layers are listed"

        def work(job: Job) -> Session:
            session = Session(ref, model)
            job.show(session.cells())
            return session

        self._jobs.run(work, "Reading the slide", self._on_opened, replace=True)

    def _on_opened(self, session: object) -> None:
        assert isinstance(session, Session)
        ref = None if self._layer is None else slide_ref(self._layer.metadata)
        if session.slide.ref != ref or session.model is not self._model:
            session.close()
            return
        self._session = session
        self._tell_slide()
        self._score()
        self._warm_timer.start(_WARM_AFTER_MS)

    def _on_warm(self) -> None:
        self._pool.warm(self._model.path)

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

    # ---- staining ----------------------------------------------------------------------------

    def _stain(self, area: Rect | None, regions: tuple[Region, ...] = ()) -> None:
        def work(job: Job) -> None:
            # Read here: the job that opens the slide may still have been running at the click.
            session = self._session
            if session is None:
                raise Cancelled("The slide was not opened.")
            executor = self._pool.executor
            told = (job.report, job.show, job.cancelled)
            job.show(session.stain(executor, *told, area, regions))

        self._jobs.run(work, "Staining")

    def _on_began(self, label: str) -> None:
        self.panel.begin(label)
        self._refresh()

    def _on_progress(self, progress: Progress) -> None:
        self.panel.report(progress.done, progress.total)

    def _on_failed(self, error: PastError) -> None:
        if isinstance(error, WorkerFailed):
            self._pool.close()
        session = self._session
        if isinstance(error, Cancelled) and session is not None and not self._jobs.waiting:
            # What was finished before is kept, so it is shown.
            self._jobs.run(lambda job: job.show(session.cells()), "Showing cells")

    def _on_job_ended(self) -> None:
        if not self._jobs.busy:
            self.panel.end()
        self._refresh()

    def _on_cells(self, cells: Cells) -> None:
        # Another slide or model may have been chosen while these were on their way.
        ref = None if self._layer is None else slide_ref(self._layer.metadata)
        if self.view is None or cells.plan.slide != ref or cells.model is not self._model:
            return
        self._show_gene(cells)
        self._tell_slide()
        self.cells_changed.emit()

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
        chosen = self._given_cutoffs.get(gene.symbols, preset)
        self.panel.cutoffs.set_cutoffs(preset, chosen, self._why_not)
        self._show_again()

    def _on_cutoffs(self) -> None:
        gene, chosen = self.panel.gene.current, self.panel.cutoffs.cutoffs
        if gene is not None and chosen is not None:
            self._given_cutoffs[gene.symbols] = chosen
        self._show_again()

    def _show_again(self) -> None:
        cells = self.cells
        if cells is not None and cells.model is self._model:
            self._show_gene(cells)
            self.cells_changed.emit()

    def _show_gene(self, cells: Cells) -> None:
        gene, view, cutoffs = self.panel.gene.current, self.view, self.panel.cutoffs
        if gene is None or view is None:
            return
        shown = staining(cells, gene, cutoffs.cutoffs, cutoffs.classes_shown)
        view.show(cells, shown)
        cutoffs.legend.set_staining(shown)
        self.panel.banner.set_model(self._model, cells)
        self._score()
        self._refresh()

    def _refresh(self) -> None:
        ready = self._layer is not None and not in_pixels(self._layer)
        cells, view = self.cells, self.view
        # A click while the slide is being read waits for it.
        free = not self._jobs.busy or (self._session is None and not self._jobs.waiting)
        self.panel.set_state(
            can_stain=ready and free, has_cells=cells is not None and len(cells) > 0
        )
        drawn = len(view.drawn) if view is not None and view.thinned else 0
        self.panel.set_thinned(drawn, 0 if cells is None else len(cells))

    # ---- regions and camera ------------------------------------------------------------------

    def _score(self) -> None:
        cells, shown = self.cells, self.shown
        self._scores, note = None, ""
        if cells is not None and len(cells) and shown is not None:
            note = self._why_not
            if shown.cutoffs is not None:
                regions = self.regions()
                values, limits = shown.values, shown.cutoffs
                self._scores = score_table(values, cells.centers_um, limits, regions)
                note = score_note(self._scores, shown.resolved.label, self._model.name)
                session = self._session
                if session is not None and session.analysed_tiles < len(session.whole.tiles):
                    note += (
                        f" Only analysed tissue counts ({session.analysed_tiles:,} of "
                        f"{len(session.whole.tiles):,} tiles)."
                    )
        self.panel.regions.set_table(self._scores, note)

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
        self._score()

    def _on_region_chosen(self, name: str) -> None:
        bounds = next((r.bounds for r in self.regions() if r.name == name), self.slide_bounds)
        if bounds is not None:
            fly_to(self._viewer, bounds)

    def _on_camera(self, event: object = None) -> None:
        self._camera_timer.start()

    def _on_camera_rested(self) -> None:
        if self.view is not None and self.view.follow_camera():
            self._refresh()

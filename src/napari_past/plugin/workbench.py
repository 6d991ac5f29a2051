"""What the widget is made of, and what lies before the user."""

from __future__ import annotations

import napari.viewer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_past.engine import CellTable, Workers, cores
from napari_past.model import DEFAULT_MODEL, Model, load_model
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.bank_dialog import BankDialog
from napari_past.plugin.bringing import Bringing
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.classing.view import ClassView
from napari_past.plugin.colouring import Colouring
from napari_past.plugin.cutoff_copy import CutoffCopy
from napari_past.plugin.damaged_tiles import DamagedTiles
from napari_past.plugin.density_view import DensityView
from napari_past.plugin.distribution import Distribution
from napari_past.plugin.heat import HeatMapView
from napari_past.plugin.inspecting import Inspecting
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.keys import KEYS
from napari_past.plugin.kind_switch import KindSwitch
from napari_past.plugin.lost_worker import LostWorker
from napari_past.plugin.measured.view import MeasuredView
from napari_past.plugin.memory import keep_in_few_pools
from napari_past.plugin.microscope import Microscope
from napari_past.plugin.model_loading import ModelLoading
from napari_past.plugin.niceness import NICENESS
from napari_past.plugin.outputs import Outputs
from napari_past.plugin.panel import Panel
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.running import Running
from napari_past.plugin.session import Session
from napari_past.plugin.slide_opening import SlideOpening
from napari_past.plugin.slide_view import SlideView
from napari_past.plugin.slides import Slides
from napari_past.plugin.stainer import Stainer
from napari_past.plugin.staining import Staining
from napari_past.plugin.ties import Ties
from napari_past.plugin.tma_view import TmaView
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.validating.work import Validating
from napari_past.plugin.virtual_view import VirtualView
from napari_past.stain import ScoreTable
from napari_past.types import Rect, Region


class Workbench(QWidget):
    """Makes the parts and shows what they hold; `VirtualStaining` ties them together.

    `cells_changed` is emitted when cells are shown anew, `idle` when nothing that was asked for is
    left to do (the ring of tiles around the view is nobody's wish).
    """

    cells_changed = Signal()
    idle = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        keep_in_few_pools()
        self._lost = LostWorker(self)
        # A core is left to the viewer, which has the right of way.
        threads = max(1, cores() - 1)
        workers = Workers(threads=threads, niceness=NICENESS, on_lost=self._lost.told.emit)
        self._stainer = Stainer(workers, self)
        self._jobs = Jobs(self)
        self._unscored = Unscored(viewer, self)
        self._microscope = Microscope(viewer)
        self._annotating = Annotating(viewer, self)
        self._loading = ModelLoading(self)
        self._model: Model = load_model(DEFAULT_MODEL)
        self._session: Session | None = None
        self._was_busy = False
        self._ties = Ties()
        self.panel = Panel(KEYS, self._microscope.overview)
        self._slides = Slides(viewer, self.panel.slide, self)
        self._kinds = KindSwitch(self.panel)
        self._bringing = Bringing(viewer, self.panel.brought, self._jobs, self, self)
        self._opening = SlideOpening(viewer, self.panel.slide, self._jobs, self)
        self._damage = DamagedTiles(viewer, self.panel.slide, self)
        self._running = Running(viewer, self._stainer, self._jobs, self)
        self._region_scores = RegionScores(
            viewer, self.panel.regions, self._annotating, self._unscored, self, self
        )
        self._tma = TmaView(
            viewer, self.panel.regions.tma, self._annotating, self._region_scores, self._jobs, self,
            self,
        )  # fmt: skip
        self._density = DensityView(
            viewer, self.panel.regions.density, self._region_scores, self._unscored, self, self
        )
        self._heat = HeatMapView(viewer, self.panel.heat, self._jobs, self, self)
        self._probing = Probing(self._annotating, self)
        self._colouring = Colouring(
            self.panel, self._annotating, self._unscored, self._probing, self, self
        )
        self._virtual = VirtualView(
            viewer, self.panel.virtual, self._unscored, self._jobs, self, self
        )
        self._distribution = Distribution(
            viewer, self.panel.cutoffs, self._region_scores, self, self
        )
        self._cutoff_copy = CutoffCopy(self.panel.cutoffs, self._annotating, self, self)
        self._inspecting = Inspecting(
            viewer, self.panel.cell, self._annotating, self._unscored, self._probing, self, self
        )
        self._pointer = self._inspecting.pointer
        self._classing = ClassView(
            viewer, self.panel, self._probing, self._annotating, self._inspecting, self._unscored,
            self,
        )  # fmt: skip
        self.tissue = MeasuredView(
            viewer, self.panel, workers, self._virtual, self._inspecting, self.regions, self, self
        )
        self._validating = Validating(self.tissue.measured, self.regions, workers, self, self)
        self._outputs = Outputs(
            self.panel, self._jobs, self._colouring, self._region_scores, self._annotating,
            self._unscored, self._probing, self, self,
        )  # fmt: skip
        self._bank_dialog = BankDialog(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)

    @property
    def view(self) -> SlideView | None:
        """The layers of the slide that is chosen."""
        return self._slides.view

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
        return self._region_scores.table

    @property
    def busy(self) -> bool:
        """Whether something that was asked for goes on."""
        stainer = self._stainer
        looking_up = self._colouring.looking_up
        parts = (
            self._jobs, self._region_scores, self._density, self._unscored, self._loading,
            looking_up, self._outputs, self._distribution, self._cutoff_copy, self.tissue,
            self._validating, self._probing,
        )  # fmt: skip
        return bool(stainer.running or stainer.waiting_in_view or any(part.busy for part in parts))

    @property
    def session(self) -> Session | None:
        """The chosen slide with the chosen model; None while it is read."""
        return self._session

    @property
    def slide_bounds(self) -> Rect | None:
        """The chosen slide in µm; None without one or without its pixel size."""
        return self._slides.bounds

    def regions(self, selected: bool = False) -> tuple[Region, ...]:
        """Regions of every shapes layer in µm, or the selected shapes alone."""
        return self._region_scores.regions(selected)

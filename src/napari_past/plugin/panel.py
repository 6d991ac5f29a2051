"""The widget's face: five sections from top to bottom, in the order of the work."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.banner import Banner
from napari_past.plugin.brought_box import BroughtBox
from napari_past.plugin.cell_details import CellDetails
from napari_past.plugin.classing.box import ClassesBox
from napari_past.plugin.cutoff_box import CutoffBox
from napari_past.plugin.export_box import ExportBox
from napari_past.plugin.gene_box import GeneBox
from napari_past.plugin.heat import HeatMapBox
from napari_past.plugin.layouts import row_of, rule
from napari_past.plugin.look_box import LookBox
from napari_past.plugin.measured.box import MeasuredBox
from napari_past.plugin.model_box import ModelBox
from napari_past.plugin.overview_map import OverviewMap
from napari_past.plugin.region_box import RegionBox
from napari_past.plugin.slide_box import SlideBox
from napari_past.plugin.types_box import TypesBox
from napari_past.plugin.virtual_box import VirtualBox
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.types import MEASURED_RESEARCH_USE, RESEARCH_USE

WIDTH_PX = 380


class Panel(QWidget):
    """Holds the parts and lays them out; knows neither slides nor layers."""

    def __init__(self, keys: Mapping[str, str], overview: OverviewMap) -> None:
        super().__init__()
        self.banner = Banner()
        self.slide = SlideBox()
        self.models = ModelBox()
        self.brought = BroughtBox()
        self.gene = GeneBox()
        self.compare = QCheckBox("Compare with a second gene")
        self.second = GeneBox()
        self.types = TypesBox()
        self.classes = ClassesBox()
        self.live = QCheckBox("Live: stain where I look")
        self.live.setToolTip("When the view rests, its tissue is analysed, the centre first.")
        self.live.setChecked(True)
        self.following = WrappedLabel()
        self.stain_view = QPushButton("Stain this view")
        self.stain_regions = QPushButton("Selected regions")
        self.stain_regions.setToolTip("Stain the selected shapes; with none selected, all regions.")
        self.stain_slide = QPushButton("Whole slide")
        self.progress = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self.status = WrappedLabel()
        self.overview = overview
        self.cell = CellDetails()
        self.virtual = VirtualBox()
        self.tissue = MeasuredBox()
        self.heat = HeatMapBox()
        self.look = LookBox()
        self.cutoffs = CutoffBox()
        self.regions = RegionBox()
        self.export = ExportBox()
        self.notice = WrappedLabel(RESEARCH_USE)
        self.notice.setStyleSheet("font-weight: 600; font-size: 11px; padding: 2px 8px;")
        shortcuts = WrappedLabel(" · ".join(f"{key}: {what}" for key, what in keys.items()))
        shortcuts.setStyleSheet("color: #9aa0a6;")

        self._working = QWidget()
        working = _row(self.progress, self.cancel)
        working.setContentsMargins(0, 0, 0, 0)
        self._working.setLayout(working)
        self._cutoff_section = _section("Colours and cut-offs", self.cutoffs, self.look)
        self._cell_section = _section("Cell", self.cell)
        self._virtual_section = _section("Virtual stain", self.virtual)
        self._tissue_section = _section("Measured tissue", self.tissue)
        self._heat_section = _section("Heat map", self.heat)
        self._export_section = _section("Export and report", self.export)
        stain = _section(
            "Stain",
            self.models,
            self.brought,
            self.types,
            self.gene,
            self.classes,
            self.compare,
            self.second,
            self.live,
            self.following,
            _wrapped(self.stain_view, self.stain_regions, self.stain_slide),
            self._working,
            self.status,
        )
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(7)
        for widget in (
            _section("Slide", self.slide, self.overview),
            stain,
            self.banner,
            self._virtual_section,
            self._tissue_section,
            self._heat_section,
            self._cell_section,
            self._cutoff_section,
            _section("Regions", self.regions),
            self._export_section,
            shortcuts,
        ):
            layout.addWidget(widget)
        layout.addStretch()
        self.scroller = QScrollArea()
        self.scroller.setWidget(inside)
        self.scroller.setWidgetResizable(True)
        self.scroller.setFrameShape(QFrame.Shape.NoFrame)
        self.scroller.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 4)
        outside.addWidget(self.scroller)
        # Below the scrolling part, so that it is in every view and every screenshot.
        outside.addWidget(self.notice)
        self.setMinimumWidth(WIDTH_PX)
        # napari adds empty space below a docked widget that does not ask for all the height.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._has_cells = self._measured = False
        self.compare.toggled.connect(self._arrange)
        self.types.changed.connect(self._arrange)
        self.tell_following("")
        self.end()
        self.set_state(can_stain=False, has_cells=False)

    def working(self, label: str, done: int = 0, total: int = 0, of: str = "tiles") -> None:
        """A job goes on; without a total it is not known how long.

        Parameters
        ----------
        of
            What is counted; empty for a share in per cent.
        """
        # Qt paints a progress bar at every change, and the canvas with it: once is enough.
        self.progress.setUpdatesEnabled(False)
        self.progress.setFormat(f"%v of %m {of}" if of else "%p %")
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.progress.setUpdatesEnabled(True)
        self.status.setText(f"{label} …")
        self.status.show()
        self._working.show()

    def end(self) -> None:
        """The job is over."""
        self._working.hide()
        self.status.hide()

    def tell_following(self, text: str) -> None:
        """What Live does, or why it waits; empty hides the line."""
        self.following.setText(text)
        self.following.setVisible(bool(text))

    def set_state(self, can_stain: bool, has_cells: bool, has_slide: bool = False) -> None:
        """What can be done now; sections without meaning yet are hidden."""
        for button in (self.stain_view, self.stain_regions, self.stain_slide, self.live):
            button.setEnabled(can_stain)
        self._has_cells = has_cells
        self._tissue_section.setVisible(has_slide)
        self._heat_section.setVisible(has_slide)
        self.brought.setVisible(has_slide)
        self._cell_section.setVisible(has_cells)
        self._virtual_section.setVisible(has_cells and not self._measured)
        self._export_section.setVisible(has_cells)
        self._arrange()

    def set_measured(self, measured: bool) -> None:
        """Whether the slide's own stain is shown: then nothing is about models, or a second gene,
        and classes are shown first."""
        if measured is self._measured:
            return
        self._measured = measured
        self.notice.setText(MEASURED_RESEARCH_USE if measured else RESEARCH_USE)
        self.models.setVisible(not measured)
        self.compare.setChecked(False)
        self.cutoffs.as_expression.setText("Density" if measured else "Expression")
        self.cutoffs.reset.setText("Reset" if measured else "Reset to card")
        (self.cutoffs.as_classes if measured else self.cutoffs.as_expression).setChecked(True)
        self._virtual_section.setVisible(self._has_cells and not measured)
        self._arrange()

    def _arrange(self) -> None:
        """What is about the colours of genes is hidden while types or classes are shown."""
        by_gene = self.types.by_gene.isChecked()
        self.classes.setVisible(self.types.by_class.isChecked())
        self.gene.setVisible(by_gene)
        self.compare.setVisible(by_gene and not self._measured)
        self.second.setVisible(by_gene and self.compare.isChecked())
        self._cutoff_section.setVisible(self._has_cells and by_gene)


def _section(title: str, *widgets: QWidget) -> QWidget:
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    heading = QLabel(title)
    heading.setStyleSheet("font-weight: 600; font-size: 14px;")
    layout.addWidget(heading)
    layout.addWidget(rule())
    for widget in widgets:
        layout.addWidget(widget)
    return box


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = row_of(*widgets)
    row.setSpacing(6)
    return row


def _wrapped(*widgets: QWidget) -> QWidget:
    box = QWidget()
    row = _row(*widgets)
    row.setContentsMargins(0, 0, 0, 0)
    box.setLayout(row)
    return box

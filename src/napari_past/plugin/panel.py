"""The widget's face: five sections from top to bottom, in the order of the work."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
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
from napari_past.plugin.cutoff_box import CutoffBox
from napari_past.plugin.export_box import ExportBox
from napari_past.plugin.gene_box import GeneBox
from napari_past.plugin.model_box import ModelBox
from napari_past.plugin.region_box import RegionBox
from napari_past.plugin.slide_box import SlideBox
from napari_past.types import RESEARCH_USE

WIDTH_PX = 380


class Panel(QWidget):
    """Holds the parts and lays them out; knows neither slides nor layers."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self.banner = Banner()
        self.slide = SlideBox()
        self.models = ModelBox()
        self.gene = GeneBox()
        self.stain_view = QPushButton("Stain this view")
        self.stain_regions = QPushButton("Selected regions")
        self.stain_regions.setToolTip("Stain the selected shapes; with none selected, all regions.")
        self.stain_slide = QPushButton("Whole slide")
        self.progress = QProgressBar()
        self.progress.setFormat("%v of %m tiles")
        self.cancel = QPushButton("Cancel")
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.thinned = QLabel()
        self.thinned.setWordWrap(True)
        self.cutoffs = CutoffBox()
        self.regions = RegionBox()
        self.export = ExportBox()
        notice = QLabel(RESEARCH_USE)
        notice.setWordWrap(True)
        notice.setStyleSheet("font-weight: 600; font-size: 11px; padding: 2px 8px;")
        shortcuts = QLabel(" · ".join(f"{key}: {what}" for key, what in keys.items()))
        shortcuts.setWordWrap(True)
        shortcuts.setStyleSheet("color: #9aa0a6;")

        self._working = QWidget()
        working = _row(self.progress, self.cancel)
        working.setContentsMargins(0, 0, 0, 0)
        self._working.setLayout(working)
        self._cutoff_section = _section("Cut-offs", self.cutoffs)
        self._export_section = _section("Export", self.export)
        stain = _section(
            "Stain",
            self.models,
            self.gene,
            _wrapped(self.stain_view, self.stain_regions, self.stain_slide),
            self._working,
            self.status,
            self.thinned,
        )
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(7)
        for widget in (
            _section("Slide", self.slide),
            stain,
            self.banner,
            self._cutoff_section,
            _section("Regions", self.regions),
            self._export_section,
            shortcuts,
        ):
            layout.addWidget(widget)
        layout.addStretch()
        scroll = QScrollArea()
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 4)
        outside.addWidget(scroll)
        # Below the scrolling part, so that it is in every view and every screenshot.
        outside.addWidget(notice)
        self.setMinimumWidth(WIDTH_PX)
        # napari adds empty space below a docked widget that does not ask for all the height.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.end()
        self.set_state(can_stain=False, has_cells=False)
        self.set_thinned(0, 0)

    def begin(self, label: str) -> None:
        """A job begins; how long it takes is not known yet."""
        self.progress.setRange(0, 0)
        self.status.setText(f"{label} …")
        self.status.show()
        self._working.show()

    def report(self, done: int, total: int) -> None:
        """How far the job is, in tiles."""
        if total:
            self.progress.setRange(0, total)
            self.progress.setValue(done)

    def end(self) -> None:
        """The job is over."""
        self._working.hide()
        self.status.hide()

    def set_state(self, can_stain: bool, has_cells: bool) -> None:
        """What can be done now; sections without meaning yet are hidden."""
        for button in (self.stain_view, self.stain_regions, self.stain_slide):
            button.setEnabled(can_stain)
        self._cutoff_section.setVisible(has_cells)
        self._export_section.setVisible(has_cells)

    def set_thinned(self, drawn: int, total: int) -> None:
        """Say so where fewer cells are drawn than there are; 0 drawn hides the line."""
        self.thinned.setText(
            f"{drawn:,} of {total:,} cells are drawn; scores count all. Zoom in to see every cell."
        )
        self.thinned.setVisible(drawn > 0)


def _section(title: str, *widgets: QWidget) -> QWidget:
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    heading = QLabel(title)
    heading.setStyleSheet("font-weight: 600; font-size: 14px;")
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    line.setStyleSheet("background: #5a626c;")
    layout.addWidget(heading)
    layout.addWidget(line)
    for widget in widgets:
        layout.addWidget(widget)
    return box


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget)
    return row


def _wrapped(*widgets: QWidget) -> QWidget:
    box = QWidget()
    row = _row(*widgets)
    row.setContentsMargins(0, 0, 0, 0)
    box.setLayout(row)
    return box

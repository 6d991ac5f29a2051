"""Regions: drawing them, their roles, and the table of their scores."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.calibrated_box import CalibratedBox
from napari_past.plugin.density_box import DensityBox
from napari_past.plugin.region_shapes import ROLES
from napari_past.plugin.region_table import RegionTable
from napari_past.plugin.tma_box import TmaBox
from napari_past.plugin.tma_cores import NONE_TOLD, Columns
from napari_past.plugin.unscored_box import UnscoredBox
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.stain import ScoreTable

_PATTERN = "QuPath annotations (*.geojson *.json *.geojson.gz)"


class RegionBox(QWidget):
    """Emits what the user asks for; the widget does it."""

    new_layer = Signal()
    read = Signal(str)
    """Regions of a file are wanted too."""
    role_chosen = Signal(str)
    region_chosen = Signal(int)
    """Number of a row of the table that was set."""
    note_given = Signal(str, str)
    """A region's name, and what the user notes of it."""

    def __init__(self) -> None:
        super().__init__()
        self._notes: dict[str, str] = {}
        self.draw = QPushButton("New regions layer")
        self.draw.setToolTip("Click the corners of a polygon; double-click to close it.")
        self.load = QPushButton("Import …")
        self.load.setToolTip("Annotations that QuPath exported as GeoJSON.")
        self.role = QComboBox()
        self.role.addItems(ROLES)
        self.role.setToolTip("Role of the selected shapes, and of those drawn next.")
        self.table = RegionTable()
        self.remark = QLineEdit()
        self.remark.setPlaceholderText("Note on the region that is chosen in the table")
        self.remark.setEnabled(False)
        self.note = WrappedLabel()
        self.calibrated = CalibratedBox()
        row = QHBoxLayout()
        row.addWidget(self.draw, 1)
        row.addWidget(self.load)
        row.addWidget(QLabel("Role"))
        row.addWidget(self.role)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        self.tma = TmaBox()
        layout.addLayout(row)
        layout.addWidget(self.tma)
        layout.addWidget(self.table)
        layout.addWidget(self.remark)
        layout.addWidget(self.note)
        layout.addWidget(self.calibrated)
        self.density = DensityBox()
        layout.addWidget(self.density)
        self.unscored = UnscoredBox()
        layout.addWidget(self.unscored)
        self.draw.clicked.connect(self.new_layer)
        self.load.clicked.connect(self._on_load)
        self.role.activated.connect(lambda _: self.role_chosen.emit(self.role.currentText()))
        self.table.chosen.connect(self.region_chosen)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.remark.editingFinished.connect(self._on_remarked)
        self.set_table(None, "")

    def set_notes(self, notes: Mapping[str, str]) -> None:
        """What was noted of the regions, by name."""
        self._notes = dict(notes)
        self._on_selected()

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import regions", "", _PATTERN)
        if path:
            self.read.emit(path)

    def _on_selected(self) -> None:
        name = self.table.selected
        self.remark.setEnabled(bool(name))
        with QSignalBlocker(self.remark):
            self.remark.setText(self._notes.get(name, ""))

    def _on_remarked(self) -> None:
        name, text = self.table.selected, self.remark.text()
        if name and text != self._notes.get(name, ""):
            self._notes[name] = text
            self.note_given.emit(name, text)

    def set_table(self, table: ScoreTable | None, note: str, told: Columns = NONE_TOLD) -> None:
        """Scores and what must be told with them; without scores only the note.

        Parameters
        ----------
        told
            What is told of cores, by name.
        """
        self.table.setVisible(table is not None)
        self.remark.setVisible(table is not None)
        self.table.set_table(table, told)
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.density.setVisible(table is not None)


def score_note(table: ScoreTable, gene: str, model: str) -> str:
    """The denominator, what was left out, and what kind of score it is."""
    lines = [f"Counted: {table.denominator}."]
    if table.excluded:
        lines.append(f"Excluded by Ignore* regions: {table.excluded:,} cells.")
    if table.without_class:
        lines.append(f"Without a value: {table.without_class:,} cells.")
    if table.unscored:
        lines.append(f"Left out by the mask: {table.unscored:,} cells.")
    score = table.score_name[0].upper() + table.score_name[1:]
    made = f"({model})" if table.rules.measured else f"predicted by {model}"
    lines.append(f"{score} of {gene} {made}; interval: {table.interval_name}.")
    lines.append(table.rules.sentence)
    return " ".join(line for line in lines if line)

"""Regions: drawing them, their roles, and the table of their scores."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_past.plugin.region_shapes import ROLES
from napari_past.plugin.region_table import RegionTable
from napari_past.stain import ScoreTable


class RegionBox(QWidget):
    """Emits what the user asks for; the widget does it."""

    new_layer = Signal()
    role_chosen = Signal(str)
    region_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.draw = QPushButton("New regions layer")
        self.draw.setToolTip("Click the corners of a polygon; double-click to close it.")
        self.role = QComboBox()
        self.role.addItems(ROLES)
        self.role.setToolTip("Role of the selected shapes, and of those drawn next.")
        self.table = RegionTable()
        self.note = QLabel()
        self.note.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.draw, 1)
        row.addWidget(QLabel("Role"))
        row.addWidget(self.role)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(row)
        layout.addWidget(self.table)
        layout.addWidget(self.note)
        self.draw.clicked.connect(self.new_layer)
        self.role.activated.connect(lambda _: self.role_chosen.emit(self.role.currentText()))
        self.table.chosen.connect(self.region_chosen)
        self.set_table(None, "")

    def set_table(self, table: ScoreTable | None, note: str) -> None:
        """Scores and what must be told with them; without scores only the note."""
        self.table.setVisible(table is not None)
        self.table.set_table(table)
        self.note.setText(note)
        self.note.setVisible(bool(note))


def score_note(table: ScoreTable, gene: str, model: str) -> str:
    """The denominator, what was left out, and what kind of score it is."""
    lines = [f"Counted: {table.denominator}."]
    if table.excluded:
        lines.append(f"Excluded by Ignore* regions: {table.excluded:,} cells.")
    if table.without_class:
        lines.append(f"Without a value: {table.without_class:,} cells.")
    score = table.score_name[0].upper() + table.score_name[1:]
    lines.append(f"{score} of {gene} predicted by {model}; interval: {table.interval_name}.")
    return " ".join(lines)

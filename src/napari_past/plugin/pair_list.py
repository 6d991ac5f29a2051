"""The list of what is compared: a line for each pair of slides or table of regions."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_past.plugin.compare_request import PairDraft, RegionRows

HEADERS = ("Patient", "Predicted", "Measured")
LINES = 4


class PairList(QTableWidget):
    """Emits `changed` when a line comes, goes or gets another patient."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(HEADERS))
        self._parts: list[PairDraft | RegionRows] = []
        self.setHorizontalHeaderLabels(HEADERS)
        self.verticalHeader().hide()
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        row = self.verticalHeader().defaultSectionSize()
        self.setMinimumHeight(header.sizeHint().height() + LINES * row)

    @property
    def parts(self) -> tuple[PairDraft | RegionRows, ...]:
        return tuple(self._parts)

    def add(self, part: PairDraft | RegionRows) -> None:
        """A line more, at the end."""
        self._parts.append(part)
        if isinstance(part, PairDraft):
            texts = (part.patient, part.predicted.name, part.measured.name)
        else:
            texts = ("as in the table", part.path.name, part.path.name)
        row = self.rowCount()
        self.insertRow(row)
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            item.setToolTip(text)
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self.setItem(row, column, item)
        self.changed.emit()

    def remove_selected(self) -> None:
        """Take the selected lines away."""
        for row in sorted({index.row() for index in self.selectedIndexes()}, reverse=True):
            del self._parts[row]
            self.removeRow(row)
        self.changed.emit()

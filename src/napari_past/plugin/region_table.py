"""The table of scores: one line for each region, with its denominator and interval."""

from __future__ import annotations

import math

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_past.stain import ScoreRow, ScoreTable

HEADERS = ("Region\nrole", "n", "0", "1+", "2+", "3+", "% pos.", "Pseudo-H\n95 % int.")
MISSING = "–"
_ROW_HEIGHT = 36
_MOST_ROWS = 6


class RegionTable(QTableWidget):
    """Emits `chosen` with a region's name when its line is double-clicked."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__(0, len(HEADERS))
        self.setHorizontalHeaderLabels(HEADERS)
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.9)
        self.setFont(font)
        header.setFont(font)
        self.cellDoubleClicked.connect(self._on_double_clicked)
        self._fit()

    @property
    def selected(self) -> str:
        """Name of the region whose line is selected; empty without one."""
        items = self.selectedItems()
        return str(items[0].data(Qt.ItemDataRole.UserRole)) if items else ""

    def set_table(self, table: ScoreTable | None) -> None:
        rows = () if table is None else table.rows
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        self.setRowCount(len(rows))
        for i, row in enumerate(rows):
            for j, text in enumerate(row_texts(row)):
                item = QTableWidgetItem(text)
                if j:
                    item.setTextAlignment(right)
                item.setToolTip(row.explanation or f"{row.region}: {row.denominator}")
                item.setData(Qt.ItemDataRole.UserRole, row.region)
                self.setItem(i, j, item)
            self.setRowHeight(i, _ROW_HEIGHT)
        self._fit()

    def _fit(self) -> None:
        rows = min(max(self.rowCount(), 1), _MOST_ROWS)
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * _ROW_HEIGHT + 6)

    def _on_double_clicked(self, row: int, column: int) -> None:
        item = self.item(row, column)
        if item is not None:
            self.chosen.emit(str(item.data(Qt.ItemDataRole.UserRole)))


def row_texts(row: ScoreRow) -> tuple[str, ...]:
    """The cells of one line, in the order of `HEADERS`."""
    interval = MISSING if math.isnan(row.lo) else f"{row.lo:.0f}–{row.hi:.0f}"
    score = MISSING if math.isnan(row.h_score) else f"{row.h_score:.0f}"
    percent = MISSING if math.isnan(row.pct_positive) else f"{row.pct_positive:.1f}"
    counts = (f"{n}" for n in (row.n, row.n0, row.n1, row.n2, row.n3))
    return (f"{row.region}\n{row.role}", *counts, percent, f"{score}\n{interval}")

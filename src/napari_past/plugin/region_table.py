"""The table of scores: one line for each region, with its denominator and interval."""

from __future__ import annotations

import math

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_past.stain import PLAIN_GENE, ScoreRow, ScoreRules, ScoreTable
from napari_past.stain.rows import MISSING, number_text

HEADERS = ("Region\nrole", "n", "0", "1+", "2+", "3+", "% pos.")
_ROW_HEIGHT = 36
_MOST_ROWS = 6


class RegionTable(QTableWidget):
    """Emits `chosen` with a region's name when its line is double-clicked."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__(0, len(HEADERS) + 1)
        self.setHorizontalHeaderLabels([*HEADERS, score_header(PLAIN_GENE)])
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
        rules = PLAIN_GENE if table is None else table.rules
        self.setHorizontalHeaderLabels([*HEADERS, score_header(rules)])
        for i, row in enumerate(rows):
            for j, text in enumerate(row_texts(row)):
                item = QTableWidgetItem(text)
                if j:
                    item.setTextAlignment(right)
                item.setToolTip(row_tip(row))
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


def score_header(rules: ScoreRules) -> str:
    """What the last column holds for a marker."""
    if rules.h_score:
        return "Pseudo-H\n95 % int."
    return "% in\nhot spot" if rules.hot_spot else "% pos.\n95 % int."


def row_texts(row: ScoreRow) -> tuple[str, ...]:
    """The cells of one line, in the order of `HEADERS`, and the marker's score."""
    percent = number_text(row.pct_positive, 1)
    counts = (f"{n}" for n in (row.n, row.n0, row.n1, row.n2, row.n3))
    return (f"{row.region}\n{row.role}", *counts, percent, _score(row))


def _score(row: ScoreRow) -> str:
    rules = row.rules
    if row.insufficient:
        return "too few\ncells"
    if rules.h_score:
        return f"{row.h_score_text}\n{row.interval_text}"
    if rules.hot_spot:
        return MISSING if row.hot_spot is None else f"{row.hot_spot.pct_positive:.1f}"
    # No decimals: the column is narrow.
    return MISSING if math.isnan(row.pct_lo) else f"{row.pct_lo:.0f}–{row.pct_hi:.0f}"


def row_tip(row: ScoreRow) -> str:
    """All that is known of one region, a line each."""
    lines = [f"{row.region}: {row.denominator}", row.insufficient]
    if row.rules.allred and row.allred is not None:
        lines.append(f"{row.rules.allred_name} {row.allred.total}")
    if row.rules.hot_spot and row.hot_spot is not None:
        lines.append(row.hot_spot.sentence)
    if row.rules.density and not math.isnan(row.density_mm2):
        lines.append(
            f"{row.area_mm2:.2f} mm², {row.density_mm2:,.0f} cells/mm², "
            f"{row.positive_mm2:,.0f} positive/mm²"
        )
    if row.excluded:
        lines.append(f"excluded by Ignore* regions: {row.excluded:,} cells")
    lines.append(row.explanation)
    return "\n".join(line for line in lines if line)

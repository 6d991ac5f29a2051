"""The table of scores: one line for each region, sorted as the user wants it."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_past.plugin.region_columns import Column, columns_of, row_tip, sorted_rows
from napari_past.plugin.tma_cores import NONE_TOLD, Columns
from napari_past.stain import PLAIN_GENE, ScoreRow, ScoreTable

_ROW_HEIGHT = 36
_MOST_ROWS = 6
_MOST_NAME_PX = 76
"""Longer names are cut where other columns need the room."""
_MARGIN_PX = 7
"""Beside the text of a column."""
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class RegionTable(QTableWidget):
    """Emits `chosen` with the number of a score's row when its line is double-clicked.

    A click on a column's head sorts by it, another one the other way round, a third one goes back
    to the order in which regions were drawn.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._columns: tuple[Column, ...] = ()
        self._rows: tuple[ScoreRow, ...] = ()
        self._told = NONE_TOLD
        self._order: list[int] = []
        """Number of the row in each line."""
        self._sorted: tuple[str, bool] | None = None
        """Head of the column that lines are sorted by, and whether the largest come first."""
        self._longest: dict[int, str] = {}
        """The longest line of text in each column."""
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(24)
        # Hundreds of lines would be measured each time: those in view, and the longest text, do.
        header.setResizeContentsPrecision(0)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionsClickable(True)
        header.sectionClicked.connect(self._on_header)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.85)
        self.setFont(font)
        header.setFont(font)
        self.cellDoubleClicked.connect(self._on_double_clicked)
        self.set_table(None)

    @property
    def selected(self) -> str:
        """Name of the region whose line is selected; empty without one."""
        number = self._selected_row
        return "" if number is None else self._rows[number].region

    def set_table(self, table: ScoreTable | None, told: Columns = NONE_TOLD) -> None:
        """Show other scores; sorting and selection stay.

        Parameters
        ----------
        told
            What is told of cores, by name: the case stands in the place of the role.
        """
        self._told = told
        number = self._selected_row
        named = None if number is None else self._rows[number].region
        self._rows = () if table is None else table.rows
        self._set_columns(columns_of(PLAIN_GENE if table is None else table.rules))
        if number is not None and not (
            number < len(self._rows) and self._rows[number].region == named
        ):
            number = next((i for i, r in enumerate(self._rows) if r.region == named), None)
        self._fill(number)
        self._fit()
        if number is None and named is not None:
            self.itemSelectionChanged.emit()

    @property
    def _selected_row(self) -> int | None:
        lines = {index.row() for index in self.selectedIndexes()}
        return self._order[min(lines)] if lines and min(lines) < len(self._order) else None

    def _set_columns(self, columns: tuple[Column, ...]) -> None:
        heads = [column.header for column in columns]
        if heads != [column.header for column in self._columns]:
            self.setColumnCount(len(columns))
            for j, column in enumerate(columns):
                head = QTableWidgetItem(column.header)
                head.setToolTip(column.tip)
                self.setHorizontalHeaderItem(j, head)
        self._columns = columns
        self._show_direction()

    def _fill(self, selected: int | None) -> None:
        by = next((c for c in self._columns if self._sorted and c.header == self._sorted[0]), None)
        self._order = list(range(len(self._rows)))
        if by is not None and self._sorted is not None:
            self._order = sorted_rows(self._rows, by, self._sorted[1])
        self.setUpdatesEnabled(False)
        with QSignalBlocker(self):
            if self.rowCount() != len(self._rows):
                self.setRowCount(len(self._rows))
            self._longest.clear()
            for line, number in enumerate(self._order):
                self._fill_line(line, self._rows[number])
            self.clearSelection()
            if selected is not None:
                self.selectRow(self._order.index(selected))
        self.setUpdatesEnabled(True)

    def _fill_line(self, line: int, row: ScoreRow) -> None:
        told = self._told.get(row.region, {})
        tip = row_tip(row, told)
        for j, column in enumerate(self._columns):
            item = self.item(line, j)
            if item is None:
                item = QTableWidgetItem()
                if j:
                    item.setTextAlignment(_RIGHT)
                self.setItem(line, j, item)
            text = column.text(row)
            if j == 0 and told.get("case"):
                text = f"{row.region}\n{told['case']}"
            for part in text.split("\n"):
                self._longest[j] = max(self._longest.get(j, ""), part, key=len)
            if item.text() != text:
                item.setText(text)
            if item.toolTip() != tip:
                item.setToolTip(tip)

    def _fit(self) -> None:
        """As high as its lines, and columns as wide as they were or need to be: while a cut-off is
        dragged none gets narrower."""
        rows = min(max(len(self._rows), 1), _MOST_ROWS)
        for j in range(1, len(self._columns)):
            longest = self.fontMetrics().horizontalAdvance(self._longest.get(j, ""))
            wanted = max(
                longest + _MARGIN_PX,
                self.sizeHintForColumn(j),
                self.horizontalHeader().sectionSizeHint(j),
            )
            if wanted > self.columnWidth(j) or not self._rows:
                self.setColumnWidth(j, wanted)
        others = sum(self.columnWidth(j) for j in range(1, len(self._columns)))
        longest = self.fontMetrics().horizontalAdvance(self._longest.get(0, ""))
        head = self.horizontalHeader().sectionSizeHint(0)
        least = min(_MOST_NAME_PX, max(longest + _MARGIN_PX, head))
        self.setColumnWidth(0, max(least, self.viewport().width() - others))
        bar = self.horizontalScrollBar()
        wide = self.columnWidth(0) + others > self.viewport().width()
        height = self.horizontalHeader().sizeHint().height() + rows * _ROW_HEIGHT + 6
        self.setFixedHeight(height + (bar.sizeHint().height() if wide else 0))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _on_header(self, column: int) -> None:
        head = self._columns[column].header
        if self._sorted == (head, False):
            self._sorted = (head, True)
        elif self._sorted == (head, True):
            self._sorted = None
        else:
            self._sorted = (head, False)
        selected = self._selected_row
        self._show_direction()
        self._fill(selected)

    def _show_direction(self) -> None:
        heads = [column.header for column in self._columns]
        shown = self._sorted is not None and self._sorted[0] in heads
        header = self.horizontalHeader()
        header.setSortIndicatorShown(shown)
        if shown and self._sorted is not None:
            down = Qt.SortOrder.DescendingOrder if self._sorted[1] else Qt.SortOrder.AscendingOrder
            header.setSortIndicator(heads.index(self._sorted[0]), down)

    def _on_double_clicked(self, line: int, column: int) -> None:
        if line < len(self._order):
            self.chosen.emit(self._order[line])

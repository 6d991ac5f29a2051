"""Tables of a validation: a few lines that are read as a whole, and thousands of genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.validating.rows import GeneColumn, Line, sorted_genes

_ROW_PX = 24
_NEXT_LINE_PX = 14
_PADDING_PX = 4
_MEASURED_LINES = 40
_MOST_LINES = 7
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter

Index = QModelIndex | QPersistentModelIndex


class LineTable(QTableWidget):
    """As high as its lines; every head and line tells what it means.

    Parameters
    ----------
    heads
        (head, meaning) of each column; names stand in the first.
    """

    def __init__(self, heads: Sequence[tuple[str, str]]) -> None:
        super().__init__(0, len(heads))
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        for column, (head, tip) in enumerate(heads):
            item = QTableWidgetItem(head)
            item.setToolTip(tip)
            item.setTextAlignment(_RIGHT if column else _LEFT)
            self.setHorizontalHeaderItem(column, item)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setMinimumSectionSize(60)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.set_lines([])

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show these in place of the former ones."""
        self.setRowCount(len(lines))
        for row, line in enumerate(lines):
            self.setRowHeight(row, _ROW_PX + _NEXT_LINE_PX * line.cells[0].count("\n"))
            for column, text in enumerate(line.cells):
                item = QTableWidgetItem(text)
                item.setToolTip(line.tip)
                item.setTextAlignment(_RIGHT if column else _LEFT)
                if line.is_main:
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                self.setItem(row, column, item)
        height = sum(self.rowHeight(row) for row in range(min(len(lines), _MOST_LINES)))
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + height + 4)

    def texts(self) -> list[list[str]]:
        """What stands there, line by line."""
        return [[self._text(row, j) for j in range(self.columnCount())]
                for row in range(self.rowCount())]  # fmt: skip

    def _text(self, row: int, column: int) -> str:
        item = self.item(row, column)
        return "" if item is None else item.text()


class GeneModel(QAbstractTableModel):
    """Sorts and filters places of genes; texts are made for the lines in view alone."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._columns: tuple[GeneColumn, ...] = ()
        self._names: tuple[str, ...] = ()
        self._shown = np.zeros(0, np.int64)
        """(n,) place of the gene in each line."""
        self._by, self._descending, self._filter = 1, True, ""

    def set_genes(self, names: Sequence[str], columns: Sequence[GeneColumn]) -> None:
        """Other genes; sorting and filter stay."""
        self.beginResetModel()
        self._names, self._columns = tuple(names), tuple(columns)
        self._by = min(self._by, max(0, len(self._columns) - 1))
        self._arrange()
        self.endResetModel()

    def set_filter(self, text: str) -> None:
        """Show genes whose name holds a text; commas and spaces part several texts."""
        self.beginResetModel()
        self._filter = text
        self._arrange()
        self.endResetModel()

    def gene(self, line: int) -> str:
        """In a line."""
        return self._names[int(self._shown[line])]

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By a column; genes without a number come last."""
        self.beginResetModel()
        self._by, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._arrange()
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # as Qt has it
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        column = self._columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(int(self._shown[index.row()]))
            case Qt.ItemDataRole.TextAlignmentRole:
                return int(_RIGHT if index.column() else _LEFT)
            case Qt.ItemDataRole.ToolTipRole:
                return column.tip
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or section >= len(self._columns):
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._columns[section].header
            case Qt.ItemDataRole.ToolTipRole:
                return self._columns[section].tip
            case Qt.ItemDataRole.TextAlignmentRole:
                return int(_RIGHT if section else _LEFT)
        return None

    def _arrange(self) -> None:
        if not self._columns:
            self._shown = np.zeros(0, np.int64)
            return
        order = sorted_genes(self._columns[self._by].key, self._descending)
        wanted = [part.upper() for part in self._filter.replace(",", " ").split()]
        if wanted:
            upper = [name.upper() for name in self._names]
            order = order[[any(w in upper[i] for w in wanted) for i in order.tolist()]]
        self._shown = order


class GeneTable(QWidget):
    """Genes with a filter; emits the name of the gene whose line was clicked."""

    looked_at = Signal(str)
    """Once, or with the keys."""
    chosen = Signal(str)
    """Twice."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter, such as KRT or ERBB2, EPCAM")
        self.filter.setClearButtonEnabled(True)
        self.count = QLabel()
        self.genes = GeneModel(self)
        self.view = QTableView()
        self.view.setModel(self.genes)
        self.view.setSortingEnabled(True)
        self.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
        self.view.setShowGrid(False)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(_ROW_PX)
        # Of all lines of a transcriptome it would take a second to find the widest.
        self.view.horizontalHeader().setResizeContentsPrecision(_MEASURED_LINES)
        self.view.horizontalHeader().setStretchLastSection(False)
        self.view.horizontalHeader().setMinimumSectionSize(64)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.filter)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.count)
        self.filter.textChanged.connect(self._on_filter)
        self.view.doubleClicked.connect(self._on_double_clicked)
        self.view.selectionModel().currentRowChanged.connect(self._on_current)

    def set_genes(self, names: Sequence[str], columns: Sequence[GeneColumn]) -> None:
        """Show these in place of the former ones."""
        self.genes.set_genes(names, columns)
        self.view.resizeColumnsToContents()
        for column in range(self.genes.columnCount()):
            self.view.setColumnWidth(column, self.view.columnWidth(column) + _PADDING_PX)
        self._count()

    def _on_filter(self, text: str) -> None:
        self.genes.set_filter(text)
        self._count()

    def _count(self) -> None:
        shown, n = self.genes.rowCount(), len(self.genes._names)
        told = f"{n:,} genes" if shown == n else f"{shown:,} of {n:,} genes"
        self.count.setText(
            f"{told}; a click draws its maps, a double-click shows it in the viewer."
        )

    def _on_current(self, index: QModelIndex) -> None:
        if index.isValid():
            self.looked_at.emit(self.genes.gene(index.row()))

    def _on_double_clicked(self, index: QModelIndex) -> None:
        self.chosen.emit(self.genes.gene(index.row()))

"""The list of places that hold most of a heat map."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_past.plugin.heat.regions import MOST, HeatRegion
from napari_past.plugin.heat.scale import HeatScale

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ROW_PX = 22


class HeatTable(QTableWidget):
    """Emits `chosen` with the number of a line that is double-clicked."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(0, 3)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setHighlightSections(False)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.9)
        self.setFont(font)
        self.horizontalHeader().setFont(font)
        self.setToolTip("Double-click a place to go there.")
        self.cellDoubleClicked.connect(lambda row, _: self.chosen.emit(row))

    def set_regions(
        self, regions: Sequence[HeatRegion], heads: tuple[str, str], scale: HeatScale
    ) -> None:
        """Show other places, the first ones first.

        Parameters
        ----------
        heads
            Of the columns of values, and of the share of instances.
        """
        named = (*heads, "Centre x, y (mm)")
        self.setHorizontalHeaderLabels(named)
        self.setRowCount(len(regions))
        for row, region in enumerate(regions):
            rect = region.rect
            x_mm = (rect.x_um + rect.width_um / 2) / 1000
            y_mm = (rect.y_um + rect.height_um / 2) / 1000
            texts = (
                scale.told(region.value), f"{region.cells_share:.2%}", f"{x_mm:.2f}, {y_mm:.2f}"
            )  # fmt: skip
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setTextAlignment(_RIGHT)
                self.setItem(row, column, item)
        # All lines are in view: a list that scrolls inside a panel that scrolls is in the way.
        lines = min(len(regions), MOST)
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + lines * _ROW_PX + 4)

"""What the colours of the virtual stain mean: swatches as they are drawn, and words."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_past.plugin.virtual_cells import VirtualCells
from napari_past.stain import CLASS_NAMES
from napari_past.stain.virtual import CONVENTION, HATCH_GREY, drawn_colours

HATCHED, NOT_ANALYSED = "hatched: not shown", "grey: not analysed"
GREY = 205
_ROW, _SWATCH, _GAP = 22, 16, 5
_PLACES = {"nucleus": "nuclei", "membrane": "membranes", "cytoplasm": "the cytoplasm"}


class VirtualLegend(QWidget):
    """Paints the four browns, the hatch and the grey; empty until cells are set."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: VirtualCells | None = None
        self.setFixedHeight(2 * _ROW)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_cells(self, cells: VirtualCells) -> None:
        """Show the colours of some cells."""
        self._cells = cells
        self.setAccessibleDescription(legend_text(cells))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._cells is None:
            return
        painter = QPainter(self)
        browns = drawn_colours(self._cells.compartment).tolist()
        step = self.width() // len(CLASS_NAMES)
        for k, (name, (r, g, b)) in enumerate(zip(CLASS_NAMES, browns, strict=True)):
            self._swatch(painter, k * step, 0, name, QColor(r, g, b))
        grey, half = QColor(GREY, GREY, GREY), self.width() // 2
        self._hatch(painter, self._swatch(painter, 0, _ROW, HATCHED, grey))
        self._swatch(painter, half, _ROW, NOT_ANALYSED, grey)
        painter.end()

    def _swatch(self, painter: QPainter, x: int, y: int, name: str, colour: QColor) -> QRectF:
        """Paint one and its name; returns its box."""
        box = QRectF(x + 0.5, y + (_ROW - _SWATCH) / 2, _SWATCH, _SWATCH)
        painter.fillRect(box, colour)
        painter.setPen(QColor(120, 120, 120))
        painter.drawRect(box)
        painter.setPen(self.palette().color(self.foregroundRole()))
        text = QRectF(x + _SWATCH + _GAP, y, self.width(), _ROW)
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, name)
        return box

    @staticmethod
    def _hatch(painter: QPainter, box: QRectF) -> None:
        painter.save()
        painter.setClipRect(box)
        painter.setPen(QColor(HATCH_GREY, HATCH_GREY, HATCH_GREY))
        left, low, high = int(box.left()), int(box.bottom()), int(box.top())
        for k in range(-_SWATCH, _SWATCH, 4):
            painter.drawLine(left + k, low, left + k + low - high, high)
        painter.restore()


def legend_text(cells: VirtualCells) -> str:
    """What a reader of the picture must know, in sentences."""
    place = f"Drawn in {_PLACES[cells.compartment]}: {CONVENTION}."
    unlike = float(np.mean(cells.unlike > 1)) if len(cells.unlike) else 0.0
    hatched = "Hatched: unlike the training, no value, or not scored"
    share = f" ({unlike:.0%} of the cells are unlike the training)" if unlike >= 0.005 else ""
    return f"{_followed(cells)} {place} {hatched}{share}."


def _followed(cells: VirtualCells) -> str:
    """What the brown follows."""
    if cells.measure == "classes":
        return "Brown follows the class."
    if cells.measure == "cutoffs":
        return "Brown follows the value; 1+, 2+ and 3+ begin at the cut-offs."
    low, high = cells.limits
    return f"Brown follows the value from {low:.2f} to {high:.2f}; there are no cut-offs."

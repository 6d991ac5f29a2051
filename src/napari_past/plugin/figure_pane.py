"""Figures side by side, as large as there is room, white as on paper."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QByteArray, QRectF, QSize
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QSizePolicy, QWidget

GAP_PX = 8
HEIGHT_PX = 300


class FigurePane(QWidget):
    """Draws SVG; nothing of it is fetched from anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self._figures: list[QSvgRenderer] = []
        self.setMinimumHeight(HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def __len__(self) -> int:
        return len(self._figures)

    def set_figures(self, svgs: Sequence[str]) -> None:
        """Show these in place of the former ones; none clears the pane."""
        self._figures = [QSvgRenderer(QByteArray(svg.encode()), self) for svg in svgs]
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(2 * HEIGHT_PX, HEIGHT_PX)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._figures:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        room = (self.width() - GAP_PX * (len(self._figures) - 1)) / len(self._figures)
        for i, figure in enumerate(self._figures):
            size = figure.defaultSize()
            scale = min(room / size.width(), self.height() / size.height())
            width, height = scale * size.width(), scale * size.height()
            left = i * (room + GAP_PX) + (room - width) / 2
            place = QRectF(left, (self.height() - height) / 2, width, height)
            painter.fillRect(place, QColor("white"))
            figure.render(painter, place)

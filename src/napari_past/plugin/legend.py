"""What the colours on the slide mean: a scale with its unit, or the classes with their symbols."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import (
    QBrush,
    QColor,
    QFontMetrics,
    QImage,
    QLinearGradient,
    QPainter,
    QPaintEvent,
    QPolygonF,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_past.plugin.bivariate import bivariate_table
from napari_past.plugin.staining import CLASS_SYMBOLS, Channel, Staining, colour_table
from napari_past.stain import CLASS_COLOURS, CLASS_NAMES

_STOPS = 16
_SCALE_HEIGHT, _CLASSES_HEIGHT, _SQUARE_HEIGHT = 52, 28, 104
_SQUARE_PX = 72
_STAR: list[tuple[float, float]] = [
    (0, -1),
    (0.29, -0.4),
    (0.95, -0.31),
    (0.48, 0.15),
    (0.59, 0.81),
]
_STAR += [(0, 0.5), (-0.59, 0.81), (-0.48, 0.15), (-0.95, -0.31), (-0.29, -0.4)]


class Legend(QWidget):
    """Paints itself in the palette's text colour; empty until a staining is set."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Staining | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_SCALE_HEIGHT)

    def set_staining(self, shown: Staining | None) -> None:
        self._shown = shown
        if shown is not None and shown.second is not None:
            self.setFixedHeight(_SQUARE_HEIGHT)
        else:
            classes = shown is not None and shown.as_classes
            self.setFixedHeight(_CLASSES_HEIGHT if classes else _SCALE_HEIGHT)
        self.setAccessibleDescription(self.text())
        self.update()

    def text(self) -> str:
        """What the legend says, in words."""
        if self._shown is None:
            return ""
        if self._shown.as_classes:
            return ", ".join(CLASS_NAMES)
        if self._shown.second is not None:
            told = [
                f"{c.name} {c.limits[0]:.2f} to {c.limits[1]:.2f}"
                for c in (self._shown.first, self._shown.second)
            ]
            return f"{' and '.join(told)} {self._shown.unit}"
        low, high = self._shown.limits
        return f"{self._shown.name} {low:.2f} to {high:.2f} {self._shown.unit}"

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._shown is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.palette().color(self.foregroundRole()))
        if self._shown.second is not None:
            self._paint_square(painter, self._shown, self._shown.second)
        elif self._shown.as_classes:
            self._paint_classes(painter)
        else:
            self._paint_scale(painter, self._shown)
        painter.end()

    def _paint_scale(self, painter: QPainter, shown: Staining) -> None:
        line = QFontMetrics(self.font()).height()
        bar = QRectF(1, 1, self.width() - 2, 12)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        # without the last row, which is for cells without a value
        table = colour_table(shown.colormap)[:-1]
        for k in range(_STOPS + 1):
            rgba = table[round(k / _STOPS * (len(table) - 1))]
            gradient.setColorAt(k / _STOPS, QColor.fromRgbF(*(float(c) for c in rgba)))
        painter.fillRect(bar, QBrush(gradient))
        low, high = shown.limits
        numbers = QRectF(1, 15, self.width() - 2, line)
        painter.drawText(numbers, Qt.AlignmentFlag.AlignLeft, f"{low:.2f}")
        painter.drawText(numbers, Qt.AlignmentFlag.AlignRight, f"{high:.2f}")
        below = QRectF(1, 15 + line, self.width() - 2, line)
        unit = QFontMetrics(self.font()).elidedText(
            shown.unit, Qt.TextElideMode.ElideRight, int(below.width())
        )
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, unit)

    def _paint_square(self, painter: QPainter, shown: Staining, second: Channel) -> None:
        """Two genes: the first runs upwards, the second to the right."""
        table = np.ascontiguousarray((bivariate_table()[::-1, :, :3] * 255).round(), np.uint8)
        side = table.shape[0]
        image = QImage(table.data, side, side, 3 * side, QImage.Format.Format_RGB888)
        square = QRectF(1, 1, _SQUARE_PX, _SQUARE_PX)
        painter.drawImage(square, image)
        beside = QRectF(_SQUARE_PX + 10, 1, self.width() - _SQUARE_PX - 12, _SQUARE_PX)
        first = shown.first
        told = (
            f"↑ {first.name}  {first.limits[0]:.2f} to {first.limits[1]:.2f}\n"
            f"→ {second.name}  {second.limits[0]:.2f} to {second.limits[1]:.2f}\n"
            f"dark: both high · pale: both low"
        )
        painter.drawText(beside, Qt.AlignmentFlag.AlignVCenter, told)
        line = QFontMetrics(self.font()).height()
        below = QRectF(1, _SQUARE_PX + 6, self.width() - 2, line)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, shown.unit)

    def _paint_classes(self, painter: QPainter) -> None:
        step = self.width() / len(CLASS_NAMES)
        ink = painter.pen()
        for k, (name, rgb) in enumerate(zip(CLASS_NAMES, CLASS_COLOURS, strict=True)):
            center = QPointF(k * step + 10, 14)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(*rgb))
            _paint_symbol(painter, CLASS_SYMBOLS[k], center, 7.0)
            painter.setPen(ink)
            place = QRectF(k * step + 22, 2, step - 22, 24)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, name)


def _paint_symbol(painter: QPainter, symbol: str, center: QPointF, radius: float) -> None:
    if symbol == "disc":
        painter.drawEllipse(center, radius, radius)
        return
    shapes: dict[str, list[tuple[float, float]]] = {
        "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
        "diamond": [(0, -1), (1, 0), (0, 1), (-1, 0)],
        "star": _STAR,
    }
    corners = [center + QPointF(x * radius, y * radius) for x, y in shapes[symbol]]
    painter.drawPolygon(QPolygonF(corners))

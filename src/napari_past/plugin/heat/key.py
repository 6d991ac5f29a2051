"""What the colours of a heat map mean: a bar, the limits at its ends, and the unit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QFontMetrics, QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_past.plugin.heat.scale import HeatScale

_BAR_PX = 12
_PAPER = QColor(236, 222, 230)
"""Behind the bar: colours that are see-through lie on eosin, about, when they are on the slide."""


class HeatKey(QWidget):
    """Empty until colours are set."""

    def __init__(self) -> None:
        super().__init__()
        self._colours: npt.NDArray[np.uint8] = np.zeros((1, 0, 4), np.uint8)
        self._ends = ("", "", "")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_BAR_PX + 4 + QFontMetrics(self.font()).height())

    def set_colours(
        self,
        colours: npt.NDArray[np.floating],
        scale: HeatScale,
        limits: tuple[float, float],
        has_beyond: tuple[bool, bool],
    ) -> None:
        """Show colours as they are on the slide.

        Parameters
        ----------
        colours
            (k, 4), RGBA 0–1, from the lower limit to the upper one.
        scale
            How values are told.
        limits
            In the channel's own unit.
        has_beyond
            Whether values lie below the lower limit, and above the upper one.
        """
        self._colours = np.ascontiguousarray(np.round(colours * 255)[None], np.uint8)
        low, high = (scale.told(limit) for limit in limits)
        self._ends = (
            f"≤ {low}" if has_beyond[0] else low,
            scale.unit,
            f"≥ {high}" if has_beyond[1] else high,
        )
        self.setAccessibleDescription(self.text())
        self.update()

    def text(self) -> str:
        """What it says, in words."""
        low, unit, high = self._ends
        return f"{low} to {high} {unit}"

    def paintEvent(self, event: QPaintEvent) -> None:
        n = self._colours.shape[1]
        if n == 0:
            return
        painter = QPainter(self)
        image = QImage(self._colours.data, n, 1, 4 * n, QImage.Format.Format_RGBA8888)
        bar = QRectF(0, 0, self.width(), _BAR_PX)
        painter.fillRect(bar, _PAPER)
        painter.drawImage(bar, image)
        painter.setPen(self.palette().color(self.foregroundRole()))
        below = QRectF(0, _BAR_PX + 2, self.width(), self.height() - _BAR_PX - 2)
        places = (
            Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight
        )  # fmt: skip
        for text, place in zip(self._ends, places, strict=True):
            painter.drawText(below, place, text)
        painter.end()

"""A label that is as high as its wrapped text: layouts in a scroll area squeeze plain ones."""

from __future__ import annotations

from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QLabel, QSizePolicy


class WrappedLabel(QLabel):
    """Words go on in the next line, no line is cut, and none is left empty."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        # Layouts work out heights that depend on widths once too seldom: this label tells its own.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._fit()

    def setText(self, text: str) -> None:
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        before = self.minimumHeight()
        # Qt's answer is never below the minimum: a text that became shorter would keep its height.
        self.setMinimumHeight(0)
        height = self.heightForWidth(self.width())
        if height >= 0:
            self.setFixedHeight(height)
        else:
            self.setMinimumHeight(before)

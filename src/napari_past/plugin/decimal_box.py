"""A box for a number that takes a comma for a point."""

from __future__ import annotations

from qtpy.QtCore import QLocale
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QDoubleSpinBox


class DecimalBox(QDoubleSpinBox):
    """Shows a point wherever it runs, and takes "0,25" for 0.25.

    Qt's own box passes over the sign that its locale does not use, so that 0,25 becomes 2.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setLocale(QLocale(QLocale.Language.C))

    def validate(self, text: str, pos: int) -> tuple[QValidator.State, str, int]:
        """As Qt asks for it at every key: acceptable, not yet, or never; and the text to show."""
        state, shown, place = super().validate(text.replace(",", "."), pos)
        return state, shown, place

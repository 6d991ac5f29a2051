"""Colour map and limits of expression."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_past.plugin.decimal_box import DecimalBox
from napari_past.plugin.staining import COLORMAPS, Look, Staining


class LookBox(QWidget):
    """Emits `changed` when the user asks for other colours."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._limits: tuple[float, float] | None = None
        self.colormap = QComboBox()
        self.colormap.addItems(COLORMAPS)
        self.low, self.high = DecimalBox(), DecimalBox()
        for spin, tip in ((self.low, "darkest"), (self.high, "brightest")):
            spin.setDecimals(2)
            spin.setRange(-1000.0, 1000.0)
            spin.setSingleStep(0.1)
            spin.setKeyboardTracking(False)
            spin.setToolTip(f"Value that is shown in the {tip} colour.")
            spin.valueChanged.connect(self._on_edited)
        self.automatic = QPushButton("Auto")
        self.automatic.setToolTip("1st to 99th percentile of this gene over the cells.")
        self.automatic.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.addWidget(QLabel("Colours"), 0, 0)
        grid.addWidget(self.colormap, 0, 1, 1, 3)
        for column, widget in enumerate((QLabel("from"), self.low, QLabel("to"), self.high)):
            grid.addWidget(widget, 1, column)
        grid.addWidget(self.automatic, 0, 4, 2, 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        self.colormap.currentTextChanged.connect(self.changed)
        self.automatic.clicked.connect(self.set_automatic)

    @property
    def look(self) -> Look:
        """Without classes, which are chosen elsewhere."""
        return Look(self.colormap.currentText(), self._limits)

    def set_automatic(self) -> None:
        """Limits follow the gene again."""
        self._limits = None
        self.changed.emit()

    def forget_limits(self) -> None:
        """Another gene has other values."""
        self._limits = None

    def set_staining(self, shown: Staining) -> None:
        """Tell the limits in use."""
        for spin, value in zip((self.low, self.high), shown.limits, strict=True):
            with QSignalBlocker(spin):
                spin.setValue(value)
        self.setVisible(not shown.as_classes and shown.second is None)

    def _on_edited(self) -> None:
        low, high = self.low.value(), self.high.value()
        if high > low:
            self._limits = (low, high)
            self.changed.emit()

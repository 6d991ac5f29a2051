"""What is not scored, in words, and what the user can do about it."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.wrapped_label import WrappedLabel

_PATTERN = "Masks (*.tif *.tiff *.png *.geojson *.json)"


class UnscoredBox(QWidget):
    """Emits what the user asks for; the widget does it."""

    edit = Signal()
    read = Signal(str)
    counted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.note = WrappedLabel()
        self.paint = QPushButton("Edit mask")
        self.paint.setToolTip("Paint what must not be scored; the eraser takes it back.")
        self.load = QPushButton("Import …")
        self.count = QCheckBox("count masked cells all the same")
        row = QHBoxLayout()
        row.addWidget(self.paint)
        row.addWidget(self.load)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.note)
        layout.addLayout(row)
        layout.addWidget(self.count)
        self.paint.clicked.connect(self.edit)
        self.load.clicked.connect(self._on_load)
        self.count.toggled.connect(self.counted)

    def set_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import a mask", "", _PATTERN)
        if path:
            self.read.emit(path)

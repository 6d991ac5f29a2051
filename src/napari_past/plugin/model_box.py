"""Which model predicts: the bundled ones, and files that the user loads."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_past.model import Model, bundled_models


class ModelBox(QWidget):
    """Emits `chosen` with a bundled model's name or a file's path."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.box = QComboBox()
        self.box.setMinimumContentsLength(10)
        for name in bundled_models():
            self.box.addItem(name, name)
        self.load = QPushButton("Load model…")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.box, 1)
        layout.addWidget(self.load)
        self.box.activated.connect(lambda _: self.chosen.emit(str(self.box.currentData())))
        self.load.clicked.connect(self._on_load)

    def set_model(self, model: Model) -> None:
        """Show the model in use; one from a file joins the list."""
        with QSignalBlocker(self.box):
            at = self.box.findText(model.name)
            if at < 0 or (
                model.name not in bundled_models() and self.box.itemData(at) != model.path
            ):
                self.box.addItem(model.name, model.path)
                at = self.box.count() - 1
            self.box.setCurrentIndex(at)

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load model", "", "Models (*.safetensors)")
        if path:
            self.chosen.emit(path)

"""Which model predicts: the ones that are here, and files that the user loads."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_past.model import Model, available_models
from napari_past.model.files import FOLDER_BANK, FOLDER_CARD, FOLDER_WEIGHTS

FILES = f"Models (*.safetensors {FOLDER_BANK} {FOLDER_CARD})"
"""Dialogs for files choose no folders: any part of a model that is a folder stands for it."""


class ModelBox(QWidget):
    """Emits `chosen` with a model's name or the path of a file or folder."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.box = QComboBox()
        self.box.setMinimumContentsLength(10)
        for name in available_models():
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
                model.name not in available_models() and self.box.itemData(at) != model.path
            ):
                self.box.addItem(model.name, model.path)
                at = self.box.count() - 1
            self.box.setCurrentIndex(at)

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load model", "", FILES)
        if path:
            self.chosen.emit(str(whole_model(Path(path))))


def whole_model(path: Path) -> Path:
    """What to load for a file that was chosen: of a model that is a folder, the folder."""
    parts = {FOLDER_BANK, FOLDER_CARD, FOLDER_WEIGHTS}
    beside = [part for part in parts if (path.parent / part).is_file()]
    return path.parent if path.name in parts and len(beside) > 1 else path

"""Which model predicts: the ones that are here, and files that the user loads."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.errors import UnknownModel
from napari_past.model import Model, available_models, model_path
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
        self.bank = QPushButton("Reference bank…")
        self.bank.setToolTip("Measured cells to look genes and cell types up in.")
        buttons = QHBoxLayout()
        buttons.addWidget(self.load)
        buttons.addWidget(self.bank)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.box)
        layout.addLayout(buttons)
        self.box.activated.connect(lambda _: self.chosen.emit(str(self.box.currentData())))
        self.load.clicked.connect(self._on_load)

    def set_model(self, model: Model) -> None:
        """Show the model in use; one from a file joins the list."""
        with QSignalBlocker(self.box):
            at = next((i for i in range(self.box.count()) if self._is(i, model)), -1)
            if at < 0:
                # Several files may hold a model of one name.
                file = Path(model.path).stem
                name = model.name if file == model.name else f"{model.name} ({file})"
                self.box.addItem(name, model.path)
                at = self.box.count() - 1
            self.box.setCurrentIndex(at)

    def _is(self, at: int, model: Model) -> bool:
        """Whether an entry stands for this very file or folder."""
        try:
            return model_path(str(self.box.itemData(at))).resolve() == Path(model.path)
        except UnknownModel:
            return False

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load model", "", FILES)
        if path:
            self.chosen.emit(str(whole_model(Path(path))))


def whole_model(path: Path) -> Path:
    """What to load for a file that was chosen: of a model that is a folder, the folder."""
    parts = {FOLDER_BANK, FOLDER_CARD, FOLDER_WEIGHTS}
    beside = [part for part in parts if (path.parent / part).is_file()]
    return path.parent if path.name in parts and len(beside) > 1 else path

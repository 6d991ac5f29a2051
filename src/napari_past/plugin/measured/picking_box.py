"""What is told while landmarks are picked, and what can be done with them."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_past.plugin.measured.landmarks import Landmarks
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.spatial.landmarks import LEAST

HOW = "Left: the H&E. Right: what was measured, coloured by total counts."


class PickingBox(QWidget):
    """Emits what the user wants of the landmarks."""

    taken_back = Signal()
    apply_wanted = Signal()
    save_to = Signal(str)
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.sentence = WrappedLabel()
        how = WrappedLabel(HOW)
        how.setStyleSheet("color: #9aa0a6;")
        self.back = QPushButton("Remove the last")
        self.apply = QPushButton("Apply")
        self.save = QPushButton("Save …")
        self.leave = QPushButton("Cancel")
        buttons = QGridLayout()
        buttons.setSpacing(4)
        for k, button in enumerate((self.back, self.save, self.apply, self.leave)):
            buttons.addWidget(button, k // 2, k % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(how)
        layout.addWidget(self.sentence)
        layout.addLayout(buttons)
        self.back.clicked.connect(self.taken_back)
        self.apply.clicked.connect(self.apply_wanted)
        self.save.clicked.connect(self._on_save)
        self.leave.clicked.connect(self.left)

    def show_landmarks(self, landmarks: Landmarks) -> None:
        """Tell how far it got."""
        self.sentence.setText(landmarks.sentence)
        self.back.setEnabled(bool(len(landmarks.on_slide_um) + len(landmarks.on_rows_um)))
        self.apply.setEnabled(landmarks.affine is not None)
        self.save.setEnabled(landmarks.pairs >= LEAST)

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the landmarks", "landmarks.csv", "Landmarks (*.csv)"
        )
        if path:
            self.save_to.emit(path if path.lower().endswith(".csv") else f"{path}.csv")

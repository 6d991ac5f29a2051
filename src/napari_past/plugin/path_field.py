"""A path that is typed, or chosen in the system's dialog."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget


class ChosenPath(QWidget):
    """A line for a path and a button beside it; what it brings up is for the heirs to connect.

    Parameters
    ----------
    title
        Of the dialog.
    pattern
        Its file kinds, as Qt has them: "PDF (*.pdf);;HTML (*.html)".
    """

    def __init__(self, title: str, pattern: str) -> None:
        super().__init__()
        self._title, self._pattern = title, pattern
        self.edit = QLineEdit()
        self.choose = QPushButton("Choose…")
        self.choose.setAutoDefault(False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self.choose)

    @property
    def text(self) -> str:
        return self.edit.text().strip()


class PathField(ChosenPath):
    """A path to be read, or a folder to be made; emits `changed` when it is another."""

    changed = Signal()

    def __init__(self, title: str, pattern: str, folder: bool = False) -> None:
        super().__init__(title, pattern)
        self._folder = folder
        self._last = ""
        self.edit.editingFinished.connect(self._on_edited)
        self.choose.clicked.connect(self._on_choose)

    def set_text(self, text: str) -> None:
        """Another path, of which nobody is told."""
        with QSignalBlocker(self.edit):
            self.edit.setText(text)
        self._last = text

    def _on_edited(self) -> None:
        if self.text != self._last:
            self._last = self.text
            self.changed.emit()

    def _on_choose(self) -> None:
        if self._folder:
            # A name that does not exist yet: no dialog for folders offers that.
            path, _ = QFileDialog.getSaveFileName(self, self._title, self.text)
        else:
            path, _ = QFileDialog.getOpenFileName(self, self._title, self.text, self._pattern)
        if path:
            self.edit.setText(path)
            self._on_edited()

"""A window of its own that has a sentence to tell."""

from __future__ import annotations

from qtpy.QtWidgets import QDialog, QWidget

from napari_past.plugin.wrapped_label import WrappedLabel


class TellingDialog(QDialog):
    """Its heirs lay out `message`, which is seen while there is something in it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = WrappedLabel()

    def tell(self, text: str) -> None:
        """Show a sentence; an empty one takes it away."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def come_up(self) -> None:
        """Show the window, on top of others."""
        self.show()
        self.raise_()

"""One side of a pair of slides: its cells and regions, from files or from the slide in view."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QFormLayout, QGroupBox, QPushButton

from napari_past.plugin.path_field import PathField


class SideBox(QGroupBox):
    """Emits `view_wanted` when the slide in view is to be taken.

    Parameters
    ----------
    title
        Which side it is.
    cells
        What its table holds.
    regions, pattern
        Label and file kinds of what says where its regions are.
    """

    view_wanted = Signal()

    def __init__(self, title: str, cells: str, regions: str, pattern: str) -> None:
        super().__init__(title)
        self.cells = PathField(cells, "Cells (*.h5ad *.csv)")
        self.regions = PathField(regions, pattern)
        self.take = QPushButton("Take the slide in view")
        self.take.setCheckable(True)
        self.take.setAutoDefault(False)
        form = QFormLayout(self)
        form.setContentsMargins(8, 4, 8, 6)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.take)
        form.addRow(cells, self.cells)
        form.addRow(regions, self.regions)
        self.taken: object = None
        """The slide that was in view; None where files are named."""
        self.take.toggled.connect(self._on_toggled)

    def set_taken(self, taken: object, text: str) -> None:
        """The slide in view, told as `text`; None goes back to files."""
        self.taken = taken
        with QSignalBlocker(self.take):
            self.take.setChecked(taken is not None)
        for field in (self.cells, self.regions):
            field.setEnabled(taken is None)
            field.set_text("")
        self.cells.set_text(text)
        self.cells.edit.setCursorPosition(0)

    def _on_toggled(self, wanted: bool) -> None:
        if wanted:
            self.view_wanted.emit()
        else:
            self.set_taken(None, "")

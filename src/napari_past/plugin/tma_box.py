"""What can be done with a tissue microarray: one button with a menu, and the grid in words."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.tma.candidates import LARGEST_UM, SMALLEST_UM

_GRIDS = "TMA grids (*.geojson *.json *.geojson.gz)"
_TABLES = "Spreadsheets (*.csv *.tsv *.txt)"
_USUAL_UM = 1000.0


class TmaBox(QWidget):
    """Emits what the user asks for; `TmaView` does it."""

    find = Signal(object)
    """Diameter of a core in µm; None to have it estimated."""
    read = Signal(str)
    write = Signal(str)
    cases = Signal(str)
    swap_missing = Signal()
    """The cores that are chosen are missing, or are there after all."""
    rename = Signal()
    by_score = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("TMA grid")
        self.button.setToolTip("Cores of a tissue microarray, scored one by one.")
        self.menu = QMenu(self)
        self.button.setMenu(self.menu)
        # napari's style leaves no room for the arrow of the menu.
        self.button.setStyleSheet("QPushButton { padding-right: 18px; }")
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.note = WrappedLabel()
        menu = self.menu
        menu.setToolTipsVisible(True)
        self._find = menu.addAction("Find cores", lambda: self.find.emit(None))
        self._find_of = menu.addAction("Find cores of a width …", self._on_find)
        self._load = menu.addAction("Open grid …", self._on_load)
        menu.addSeparator()
        of_grid = (
            menu.addAction("Cases from a spreadsheet …", self._on_cases),
            menu.addAction("Missing / not missing", self.swap_missing.emit),
            menu.addAction("Rename core …", self.rename.emit),
            menu.addAction("Save grid …", self._on_save),
        )
        of_grid[0].setToolTip("A list (core, case, …) or a map (rows A, B, …; columns 1, 2, …).")
        of_grid[1].setToolTip("Of the selected shapes, or of the core chosen in the table.")
        menu.addSeparator()
        self.score_colours = menu.addAction("Colour cores by score")
        self.score_colours.setCheckable(True)
        self.score_colours.toggled.connect(self.by_score)
        self._of_grid = (*of_grid, self.score_colours)
        row = QHBoxLayout()
        row.addWidget(self.button)
        row.addWidget(self.note, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        self.set_note("", has_grid=False)
        self.set_slide(False)

    def set_slide(self, there: bool) -> None:
        """Whether there is a slide on which cores can be looked for."""
        for action in (self._find, self._find_of, self._load):
            action.setEnabled(there)

    def set_note(self, text: str, has_grid: bool) -> None:
        """The grid in words, and whether there is one."""
        self.note.setText(text)
        for action in self._of_grid:
            action.setEnabled(has_grid)

    def ask_name(self, name: str) -> str | None:
        """Another name for a core; None where the user thinks better of it."""
        told, accepted = QInputDialog.getText(self, "Rename core", f"Core {name} is", text=name)
        return told.strip() if accepted else None

    def _on_find(self) -> None:
        diameter_um, accepted = QInputDialog.getDouble(
            self, "Find cores", "Width of a core in µm", _USUAL_UM, SMALLEST_UM, LARGEST_UM, 0
        )
        if accepted:
            self.find.emit(diameter_um)

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a TMA grid", "", _GRIDS)
        if path:
            self.read.emit(path)

    def _on_cases(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Cases of the cores", "", _TABLES)
        if path:
            self.cases.emit(path)

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the TMA grid", "grid.geojson", _GRIDS)
        if path:
            self.write.emit(path)

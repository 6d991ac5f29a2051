"""Ways to look at the virtual stain, its legend, and its way into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.virtual_cells import VirtualCells
from napari_past.plugin.virtual_legend import VirtualLegend, legend_text
from napari_past.plugin.wrapped_label import WrappedLabel


class Way(StrEnum):
    """How H&E and virtual stain share the canvas."""

    H_AND_E = "H&E"
    VIRTUAL = "Virtual stain"
    SWIPE = "Swipe"
    BESIDE = "Side by side"


_TIPS = {
    Way.H_AND_E: "The slide, with the cells in the colours chosen below.",
    Way.VIRTUAL: "As the IHC slide might look: predicted, no antibody was applied.",
    Way.SWIPE: "H&E to the left of a divider, virtual stain to its right: drag it.",
    Way.BESIDE: "H&E and virtual stain beside each other, moved together.",
}
SUFFIXES = (".png", ".tif")


class VirtualBox(QWidget):
    """Emits `way_chosen` with a `Way`, and `save_to` with a path."""

    way_chosen = Signal(object)
    save_to = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.buttons = {way: QPushButton(way.replace("&", "&&")) for way in Way}
        self._ways = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(4)
        for way, button in self.buttons.items():
            button.setCheckable(True)
            button.setToolTip(_TIPS[way])
            button.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
            button.setStyleSheet("padding: 3px 6px;")
            self._ways.addButton(button)
            row.addWidget(button)
            button.clicked.connect(lambda _, way=way: self.way_chosen.emit(way))
        self.buttons[Way.H_AND_E].setChecked(True)
        self.legend = VirtualLegend()
        self.words = WrappedLabel()
        self.words.setStyleSheet("color: #9aa0a6;")
        self.save = QPushButton("Save this view of the virtual stain…")
        self.save.setToolTip("A picture of what is in view, with the words burnt in.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.legend)
        layout.addWidget(self.words)
        layout.addWidget(self.save)
        self.save.clicked.connect(self._on_save)
        self.show_state(Way.H_AND_E, None, "")

    def show_state(self, way: Way, cells: VirtualCells | None, why_not: str) -> None:
        """Tell how it is looked at, and what is drawn.

        Parameters
        ----------
        why_not
            Why there can be no virtual stain; empty where there can.
        """
        with QSignalBlocker(self._ways):
            self.buttons[way].setChecked(True)
        for other, button in self.buttons.items():
            button.setEnabled(not why_not or other is Way.H_AND_E)
        drawn = cells is not None and way is not Way.H_AND_E
        if cells is not None and drawn:
            self.legend.set_cells(cells)
            self.words.setText(legend_text(cells))
        else:
            self.words.setText(why_not)
        self.legend.setVisible(drawn)
        self.words.setVisible(drawn or bool(why_not))
        self.save.setVisible(drawn)

    def _on_save(self) -> None:
        kinds = ";;".join(f"*{suffix}" for suffix in SUFFIXES)
        path, kind = QFileDialog.getSaveFileName(
            self, "Save this view of the virtual stain", "virtual_stain.png", kinds
        )
        if path:
            self.save_to.emit(path if Path(path).suffix else path + kind.removeprefix("*"))

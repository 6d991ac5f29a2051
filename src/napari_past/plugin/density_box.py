"""What is asked for of densities and hot spots, and what was found, in words and colours."""

from __future__ import annotations

import html

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_past.plugin.densities import ALL, POSITIVE, Densities
from napari_past.plugin.density_layers import DENSITY_COLOURS
from napari_past.plugin.wrapped_label import WrappedLabel

NONE = "none"


class DensityBox(QWidget):
    """Emits `changed` when something else is asked for, `flown_to` with the number of a spot."""

    changed = Signal()
    flown_to = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.of = QComboBox()
        self.of.addItems([NONE, POSITIVE, ALL])
        self.of.setToolTip("Cells per mm² as a map; cells count here as they do in the table.")
        self.spots = QCheckBox("Hot spots")
        self.spots.setToolTip("The circle with the highest part of positive cells, by region.")
        self.key = QFrame()
        self.key.setFixedHeight(10)
        stops = ", ".join(
            f"stop:{k / (len(DENSITY_COLOURS) - 1):.3f} rgba({r}, {g}, {b}, {a})"
            for k, (r, g, b, a) in enumerate(DENSITY_COLOURS)
        )
        self.key.setStyleSheet(f"background: qlineargradient(x1:0, y1:0, x2:1, y2:0, {stops});")
        self.map_line = WrappedLabel()
        self.spot_lines = WrappedLabel()
        row = QHBoxLayout()
        row.addWidget(QLabel("Density map"))
        row.addWidget(self.of, 1)
        row.addWidget(self.spots)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.key)
        layout.addWidget(self.map_line)
        layout.addWidget(self.spot_lines)
        self.of.currentTextChanged.connect(self.changed)
        self.spots.toggled.connect(self.changed)
        self.spot_lines.linkActivated.connect(lambda link: self.flown_to.emit(int(link)))
        self.set_found(None)

    @property
    def map_of(self) -> str:
        """Which cells the map is of; empty for no map."""
        return "" if self.of.currentText() == NONE else self.of.currentText()

    def set_found(self, found: Densities | None, why_not: str = "") -> None:
        """Tell what is drawn, or why nothing is."""
        self.key.setVisible(found is not None and found.map is not None)
        _tell(self.map_line, why_not if found is None else found.map_line)
        lines = [] if found is None else [html.escape(line) for line in found.spot_lines]
        places = 0 if found is None else len(found.spots)
        told = [
            f'{line} <a href="{k}" style="color: #8ab4f8">go there</a>' if k < places else line
            for k, line in enumerate(lines)
        ]
        _tell(self.spot_lines, "<br>".join(told))


def _tell(label: WrappedLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))

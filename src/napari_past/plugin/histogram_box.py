"""The histogram with the choice of its cells, and how many there are."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_past.plugin.histogram import Histogram
from napari_past.plugin.histogram_cells import CHOICES
from napari_past.plugin.value_bins import ValueBins

_TIP = (
    "Cells of the histogram. Those that count in the scores: not in Ignore* regions, nor left out "
    "by the mask."
)


class HistogramBox(QWidget):
    """Hidden until there are cells with a value."""

    asked = Signal()
    """Other cells are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = QComboBox()
        self.cells.addItems(CHOICES)
        self.cells.setToolTip(_TIP)
        self.count = QLabel()
        self.count.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.histogram = Histogram()
        row = QHBoxLayout()
        row.addWidget(QLabel("Cells"))
        row.addWidget(self.cells)
        row.addWidget(self.count, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.histogram)
        self.cells.activated.connect(lambda _: self.asked.emit())
        self.set_bins(None, "", "")

    @property
    def where(self) -> str:
        """Which cells are asked for, one of `CHOICES`."""
        return self.cells.currentText()

    def set_bins(self, bins: ValueBins | None, title: str, told: str) -> None:
        """Show cells, or nothing.

        Parameters
        ----------
        title
            What the values are, with their unit and where they come from.
        told
            Which cells these are, and how many.
        """
        self.setVisible(bins is not None)
        self.histogram.set_bins(bins, title)
        self.count.setText(told)
        self.count.setToolTip(told)

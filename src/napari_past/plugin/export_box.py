"""Asks where to write cells, scores and regions, and leads to the report and the comparison."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QWidget

EMBEDDED = "SpatialData with the slide's pixels in it (*.zarr)"
KINDS = {
    "AnnData (*.h5ad)": ".h5ad",
    "SpatialData, the slide by reference (*.zarr)": ".zarr",
    EMBEDDED: ".zarr",
    "QuPath (*.geojson)": ".geojson",
    "GeoParquet (*.parquet)": ".parquet",
    "Table (*.csv)": ".csv",
}
"""What the dialog offers, and its suffix."""
REGIONS = "QuPath annotations (*.geojson)"


class ExportBox(QWidget):
    """Emits the path that was chosen."""

    cells_to = Signal(str, bool)
    """And whether the slide's pixels are wanted in it."""
    scores_to = Signal(str)
    regions_to = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.report = QPushButton("Report…")
        self.report.setToolTip("One page for the slide, HTML or PDF: pictures, scores, evidence")
        self.compare = QPushButton("Compare with real IHC…")
        self.compare.setToolTip("Predicted against measured regions; calibrate and validate")
        self.cells = QPushButton("Export cells…")
        self.cells.setToolTip(
            "AnnData (.h5ad), SpatialData (.zarr), QuPath (.geojson), GeoParquet (.parquet) or a "
            "table (.csv)"
        )
        self.scores = QPushButton("Export scores…")
        self.regions = QPushButton("Export regions…")
        self.regions.setToolTip("Annotations that QuPath opens (.geojson)")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        buttons = (self.report, self.compare, self.cells, self.scores, self.regions)
        for place, button in enumerate(buttons):
            layout.addWidget(button, place // 2, place % 2)
        self.cells.clicked.connect(self._on_cells)
        self.scores.clicked.connect(self._on_scores)
        self.regions.clicked.connect(self._on_regions)

    def _on_cells(self) -> None:
        kinds = ";;".join(KINDS)
        path, kind = QFileDialog.getSaveFileName(self, "Export cells", "cells.h5ad", kinds)
        if path:
            target = _with_suffix(path, KINDS[kind])
            self.cells_to.emit(target, kind == EMBEDDED and target.lower().endswith(".zarr"))

    def _on_scores(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export scores", "scores.csv", "*.csv")
        if path:
            self.scores_to.emit(_with_suffix(path, ".csv"))

    def _on_regions(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export regions", "regions.geojson", REGIONS)
        if path:
            self.regions_to.emit(_with_suffix(path, ".geojson"))


def _with_suffix(path: str, suffix: str) -> str:
    """A name that was typed without suffix gets that of its kind; others stay as they are."""
    return path if Path(path).suffix else path + suffix

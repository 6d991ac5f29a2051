"""Asks where to write the cells and the scores, and leads to the report and the comparison."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QPushButton, QWidget

from napari_past.io import writable_suffixes


class ExportBox(QWidget):
    """Emits the path that was chosen."""

    cells_to = Signal(str)
    scores_to = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.report = QPushButton("Report…")
        self.report.setToolTip("One page for the slide, HTML or PDF: pictures, scores, evidence")
        self.compare = QPushButton("Compare with real IHC…")
        self.compare.setToolTip("Predicted against measured regions; calibrate and validate")
        self.cells = QPushButton("Export cells…")
        self.cells.setToolTip("AnnData (.h5ad), table (.csv) or QuPath (.geojson)")
        self.scores = QPushButton("Export scores…")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for place, button in enumerate((self.report, self.compare, self.cells, self.scores)):
            layout.addWidget(button, place // 2, place % 2)
        self.cells.clicked.connect(self._on_cells)
        self.scores.clicked.connect(self._on_scores)

    def _on_cells(self) -> None:
        kinds = ";;".join(f"*{suffix}" for suffix in writable_suffixes())
        path, kind = QFileDialog.getSaveFileName(self, "Export cells", "cells.h5ad", kinds)
        if path:
            self.cells_to.emit(path if Path(path).suffix else path + kind.removeprefix("*"))

    def _on_scores(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export scores", "scores.csv", "*.csv")
        if path:
            self.scores_to.emit(path if Path(path).suffix else f"{path}.csv")

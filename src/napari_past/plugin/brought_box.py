"""Where the cells come from: found on the slide, a layer of the viewer, a file or a folder."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.wrapped_label import WrappedLabel

FOUND = "Found on the slide"
FILES = (
    "Cells (*.geojson *.geojson.gz *.json *.h5ad *.parquet *.csv *.tif *.tiff *.png *.npy *.npz "
    "*.zip *.roi *.txt);;"
    "All files (*)"
)
_TIP = (
    "Cells that were found elsewhere: labels, points or shapes in this viewer, QuPath GeoJSON, "
    "label images, AnnData or SpatialData, results of StarDist, Cellpose and InstanSeg. They may "
    "also be dropped into the window."
)


class BroughtBox(QWidget):
    """Emits what the user chooses; knows neither slides nor layers."""

    found_wanted = Signal()
    layer_wanted = Signal(object)
    """What was given with the name of a layer."""
    path_wanted = Signal(str)
    again_wanted = Signal()
    """The layer was edited since, and its cells are to be taken again."""

    def __init__(self) -> None:
        super().__init__()
        self.box = QComboBox()
        self.box.setToolTip(_TIP)
        self.box.setMinimumContentsLength(16)
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.facts, self.edited = WrappedLabel(), WrappedLabel()
        self.facts.setStyleSheet("color: #9aa0a6;")
        self.edited.setStyleSheet("color: #f0b94a;")
        self.again = QPushButton("Take them again")
        row = QHBoxLayout()
        row.addWidget(QLabel("Cells"))
        row.addWidget(self.box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        for widget in (self.facts, self.edited, self.again):
            layout.addWidget(widget)
        self._asks = {"": self.found_wanted.emit, "file": self._on_file, "folder": self._on_folder}
        self._current = 0
        self.box.activated.connect(self._on_activated)
        self.again.clicked.connect(self.again_wanted)
        self.set_sources((), None)
        self.tell("")
        self.tell_edited("")

    def set_sources(
        self, layers: Sequence[tuple[str, object]], current: object, named: str = ""
    ) -> None:
        """What can be chosen.

        Parameters
        ----------
        layers
            Names of layers that may hold cells, and what to emit for them.
        current
            That of the layer in use; None where none is.
        named
            A source in use that is no layer any more, or never was; empty without one.
        """
        with QSignalBlocker(self.box):
            self.box.clear()
            self.box.addItem(FOUND, ("", None))
            if named:
                self.box.addItem(named, ("named", None))
                self.box.setCurrentIndex(1)
            for name, layer in layers:
                self.box.addItem(f"Layer: {name}", ("layer", layer))
                if layer is current:
                    self.box.setCurrentIndex(self.box.count() - 1)
            self.box.insertSeparator(self.box.count())
            self.box.addItem("From a file …", ("file", None))
            self.box.addItem("From a folder …", ("folder", None))
        self._current = self.box.currentIndex()

    def tell(self, text: str) -> None:
        """What the cells in use are, and what was left out; empty for found ones."""
        _tell(self.facts, text)

    def tell_edited(self, text: str) -> None:
        """That the layer is not what its cells were taken from; empty where it is."""
        _tell(self.edited, text)
        self.again.setVisible(bool(text))

    def go_back(self) -> None:
        """What was chosen cannot be had: show again what is in use."""
        with QSignalBlocker(self.box):
            self.box.setCurrentIndex(self._current)

    def _on_activated(self, index: int) -> None:
        kind, layer = self.box.itemData(index)
        if index == self._current and kind != "layer":
            return
        # Until the cells are there, those that were in use are.
        self.go_back()
        if kind == "layer":
            self.layer_wanted.emit(layer)
        elif kind in self._asks:
            self._asks[kind]()

    def _on_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Cells from a file", "", FILES)
        if path:
            self.path_wanted.emit(path)

    def _on_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Cells from a folder")
        if path:
            self.path_wanted.emit(path)


def _tell(label: WrappedLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))

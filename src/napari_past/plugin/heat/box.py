"""The panel's section on heat maps: open one, choose what it shows, go where most of it lies."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_past.io.heat_map import HeatChannel, HeatKind, HeatMap
from napari_past.io.heat_map_file import HEAT_SUFFIX
from napari_past.plugin.heat.key import HeatKey
from napari_past.plugin.heat.regions import HeatRegion
from napari_past.plugin.heat.scale import HeatScale
from napari_past.plugin.heat.table import HeatTable
from napari_past.plugin.heat.words import (
    NOT_WHY,
    channel_name,
    evidence_line,
    noun,
    what_line,
)
from napari_past.plugin.wrapped_label import WrappedLabel

_FILES = f"Heat maps (*{HEAT_SUFFIX});;All files (*)"
_GREY = "color: #9aa0a6;"
_OPENING = (
    "What a network of slides looked at, as past-train slide evaluate --maps writes it; or drop it "
    "into the window."
)


class HeatMapBox(QWidget):
    """Emits what the user wants; knows neither slides nor layers."""

    path_given = Signal(str)
    channel_chosen = Signal(int)
    opacity_chosen = Signal(float)
    flown_to = Signal(int)
    remove_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.open = QPushButton("Open heat map …")
        self.open.setToolTip(_OPENING)
        self.remove = QPushButton("Remove")
        self.what, self.evidence, self.pointed = WrappedLabel(), WrappedLabel(), WrappedLabel()
        self.what.setToolTip(NOT_WHY)
        self.evidence.setStyleSheet(_GREY)
        self.channels = QComboBox()
        self.channels.setToolTip(NOT_WHY)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setToolTip("How much of the slide shows through.")
        self.key = HeatKey()
        self.table = HeatTable()
        head = QWidget()
        _row(head, self.open, self.remove)
        self._shown = QWidget()
        layout = QVBoxLayout(self._shown)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        choosing, seeing = QWidget(), QWidget()
        _row(choosing, QLabel("Show"), self.channels, stretched=self.channels)
        _row(seeing, QLabel("Opacity"), self.opacity, stretched=self.opacity)
        for widget in (
            choosing, self.key, self.pointed, seeing, self.what, self.evidence, self.table
        ):  # fmt: skip
            layout.addWidget(widget)
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.setSpacing(5)
        outside.addWidget(head)
        outside.addWidget(self._shown)
        self.open.clicked.connect(self._on_open)
        self.remove.clicked.connect(self.remove_wanted)
        self.channels.activated.connect(self.channel_chosen)
        self.opacity.valueChanged.connect(lambda value: self.opacity_chosen.emit(value / 100))
        self.table.chosen.connect(self.flown_to)
        self.set_none()

    def set_none(self) -> None:
        """No map lies on the slide."""
        self._shown.hide()
        self.remove.hide()
        self.point("")

    def set_map(self, found: HeatMap, number: int) -> None:
        """A map lies on the slide, and one of its channels is shown."""
        channel = found.channels[number]
        with QSignalBlocker(self.channels):
            self.channels.clear()
            self.channels.addItems([channel_name(of) for of in found.channels])
            self.channels.setCurrentIndex(number)
        self.what.setText(what_line(found, channel))
        self.evidence.setText(evidence_line(found))
        self.point("")
        self._shown.show()
        self.remove.show()

    def set_regions(
        self,
        found: HeatMap,
        channel: HeatChannel,
        regions: Sequence[HeatRegion],
        scale: HeatScale,
    ) -> None:
        """The places that hold most of a channel."""
        what = "Attention" if channel.kind is HeatKind.ATTENTION else "Adds"
        head = f"{what}, {scale.short}" if scale.short else what
        self.table.set_regions(regions, (head, f"Of all {noun(found)}s"), scale)

    def set_opacity(self, opacity: float) -> None:
        """The layer has this opacity, 0 to 1."""
        with QSignalBlocker(self.opacity):
            self.opacity.setValue(round(opacity * 100))

    def point(self, text: str) -> None:
        """What lies under the pointer; empty where nothing does."""
        self.pointed.setText(text or "Under the pointer: –")

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a heat map", "", _FILES)
        if path:
            self.path_given.emit(path)


def _row(box: QWidget, *widgets: QWidget, stretched: QWidget | None = None) -> None:
    row = QHBoxLayout(box)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget, 1 if widget is stretched else 0)
    if stretched is None:
        row.addStretch()

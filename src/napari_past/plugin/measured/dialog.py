"""The window that asks what a measurement does not tell of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.measured.offer import SPATIAL, Offer, Unit
from napari_past.plugin.path_field import PathField
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.spatial.measured import MeasuredAs

WIDTH_PX = 460
NAMES = {
    "xenium": "Xenium run",
    "visium": "output of Space Ranger",
    "st": "Spatial Transcriptomics",
    "anndata": "AnnData table",
    "spatialdata": "SpatialData",
}
CHOOSE = "choose …"
AS_FILE = "as the file says"
NO_TYPES = "none"
X_MATRIX = "X"
UNITS: dict[Unit, str] = {"um": "µm of the H&E", "px": "pixels of the H&E"}
ROWS = {"Single cells": None, "Spots of 55 µm (Visium)": 55.0, "Spots of 100 µm (ST)": 100.0}
BINS = {"2 µm": 2, "8 µm": 8, "16 µm": 16}


class MeasuredDialog(QDialog):
    """Emits `given` with a path and a `MeasuredAs` once everything that is needed is said."""

    given = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open measured tissue")
        self._offer: Offer | None = None
        self.words = WrappedLabel()
        self.section, self.unit, self.column_x, self.column_y = (QComboBox() for _ in range(4))
        self.layer, self.rows, self.types, self.bins = (QComboBox() for _ in range(4))
        for text, diameter_um in ROWS.items():
            self.rows.addItem(text, diameter_um)
        for text, um in BINS.items():
            self.bins.addItem(text, um)
        self.bins.setCurrentIndex(1)
        self.unit.addItem(CHOOSE, None)
        for unit in get_args(Unit):
            self.unit.addItem(UNITS[unit], unit)
        self.alignment = PathField("Alignment", "Xenium Explorer's matrix (*.csv)")
        self.landmarks = PathField("Landmarks", "Landmarks (*.csv)")
        self.patient = QLineEdit()
        self.patient.setPlaceholderText("Any name; the same for sections of one patient")
        self.message = WrappedLabel()
        self.message.setStyleSheet("color: #f0b94a;")
        self.open_it = QPushButton("Open")
        self.open_it.setDefault(True)
        self.leave = QPushButton("Cancel")
        self.form = QFormLayout()
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, field in (
            ("Section", self.section), ("Positions in", self.unit), ("x (column)", self.column_x),
            ("y (row)", self.column_y), ("Raw counts", self.layer), ("Rows are", self.rows),
            ("Cell types", self.types), ("Bins", self.bins), ("Alignment", self.alignment),
            ("Landmarks", self.landmarks), ("Patient", self.patient),
        ):  # fmt: skip
            self.form.addRow(label, field)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.leave)
        buttons.addWidget(self.open_it)
        layout = QVBoxLayout(self)
        layout.addWidget(self.words)
        layout.addLayout(self.form)
        layout.addWidget(self.message)
        layout.addLayout(buttons)
        self.setMinimumWidth(WIDTH_PX)
        self.open_it.clicked.connect(self._on_open)
        self.leave.clicked.connect(self.reject)

    def ask(self, offer: Offer, slide: str) -> None:
        """Come up with the fields that a measurement's kind needs.

        Parameters
        ----------
        slide
            The H&E that it is laid on.
        """
        self._offer = offer
        kind = NAMES.get(offer.kind, offer.kind)
        self.words.setText(f"{offer.path.name} ({kind}) is laid on {slide}.")
        self._fill(self.section, offer.sections, offer.section)
        for box, guess in ((self.column_x, offer.x), (self.column_y, offer.y)):
            own = [SPATIAL] if offer.has_spatial else []
            self._fill(box, [*own, *offer.columns], guess or (SPATIAL if own else ""))
        self.unit.setItemText(0, AS_FILE if offer.kind == "spatialdata" else CHOOSE)
        self.unit.setCurrentIndex(max(0, self.unit.findData(offer.unit)))
        self._fill(self.layer, [X_MATRIX, *offer.layers], _likely_layer(offer.layers))
        self._fill(self.types, [NO_TYPES, *offer.texts], offer.types or NO_TYPES)
        self.rows.setCurrentIndex(0)
        for path in (self.alignment, self.landmarks):
            path.set_text("")
        self.patient.clear()
        self.message.setText("")
        self.message.hide()
        table = offer.kind == "anndata"
        several = offer.kind == "spatialdata" and len(offer.sections) > 1
        for field, needed in (
            (self.section, offer.kind == "st" or several),
            (self.unit, table or offer.kind == "spatialdata"),
            (self.column_x, table), (self.column_y, table), (self.layer, table),
            (self.rows, table), (self.types, table and bool(offer.texts)),
            (self.bins, offer.kind == "visium" and is_hd(offer.path)),
            (self.alignment, offer.kind == "xenium" and not offer.aligned),
        ):  # fmt: skip
            self.form.setRowVisible(field, needed)
        self.adjustSize()
        self.show()
        self.raise_()

    def said(self) -> MeasuredAs:
        """What the fields say.

        Raises
        ------
        ValueError
            Something that is needed is not said; the sentence says what.
        """
        offer = self._offer
        assert offer is not None
        kind, patient = offer.kind, self.patient.text().strip() or None
        landmarks = Path(self.landmarks.text) if self.landmarks.text else None
        if kind == "st":
            if self.section.currentText() in ("", CHOOSE):
                raise ValueError("Choose the section that was cut from the tissue on the H&E.")
            return MeasuredAs(
                kind, section=self.section.currentText(), patient=patient, landmarks=landmarks
            )
        if kind == "xenium":
            path = Path(self.alignment.text) if self.alignment.text else None
            return MeasuredAs(kind, alignment=path, patient=patient, landmarks=landmarks)
        if kind == "visium" and is_hd(offer.path):
            return MeasuredAs(
                kind, bin_um=self.bins.currentData(), patient=patient, landmarks=landmarks
            )
        if kind == "spatialdata":
            name = self.section.currentText()
            if name == CHOOSE:
                raise ValueError("Choose the table of the tissue on the H&E.")
            unit = self.unit.currentData()
            return MeasuredAs(
                kind, section=name or None, unit=unit, patient=patient, landmarks=landmarks
            )
        if kind != "anndata":
            return MeasuredAs(kind, patient=patient, landmarks=landmarks)
        if self.unit.currentData() is None:
            raise ValueError("Choose the unit of the positions: no file tells it.")
        x, y = self.column_x.currentText(), self.column_y.currentText()
        if CHOOSE in (x, y) or "" in (x, y):
            raise ValueError("Choose the columns with the positions: x runs right, y down.")
        if (x == y and x != SPATIAL) or (x == SPATIAL) != (y == SPATIAL):
            raise ValueError("Choose two columns for x and y, or the same obsm for both.")
        layer, types = self.layer.currentText(), self.types.currentText()
        return MeasuredAs(
            kind,
            unit=self.unit.currentData(),
            x=None if x == SPATIAL else x,
            y=None if y == SPATIAL else y,
            layer=None if layer == X_MATRIX else layer,
            types=None if types in ("", NO_TYPES) else types,
            spot_diameter_um=self.rows.currentData(),
            patient=patient,
            landmarks=landmarks,
        )

    @staticmethod
    def _fill(box: QComboBox, names: Sequence[str], chosen: str) -> None:
        box.clear()
        box.addItems(names if chosen in names else [CHOOSE, *names])
        box.setCurrentText(chosen if chosen in names else CHOOSE)

    def _on_open(self) -> None:
        assert self._offer is not None
        try:
            said = self.said()
        except ValueError as exc:
            self.message.setText(str(exc))
            self.message.show()
            return
        self.accept()
        self.given.emit(self._offer.path, said)


def is_hd(path: Path) -> bool:
    """Whether an output of Space Ranger is of Visium HD."""
    return any((folder / "binned_outputs").is_dir() for folder in (path, path / "outs"))


def _likely_layer(layers: tuple[str, ...]) -> str:
    """Where a layer is named as counts are, X was most likely normalised."""
    return next((name for name in layers if name in ("counts", "raw_counts", "raw")), X_MATRIX)

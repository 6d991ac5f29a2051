"""The window in which predicted regions stand beside those of a real stain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_past.model.calibration import UNITS, Calibration, Quantity
from napari_past.plugin.compare_request import (
    MeasuredFiles,
    MeasuredInView,
    PairDraft,
    PredictedFiles,
    PredictedInView,
)
from napari_past.plugin.figure_pane import FigurePane
from napari_past.plugin.layouts import row_of
from napari_past.plugin.pair_list import PairList
from napari_past.plugin.save_field import SaveField
from napari_past.plugin.side_box import SideBox
from napari_past.plugin.telling_dialog import TellingDialog
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.types import RESEARCH_USE

SIZE_PX = 1180, 760
FORM_PX = 430
INTRODUCTION = (
    "Regions of one name on both slides belong together. Serial sections are compared by region; a "
    "map from predicted to measured values is fitted and judged by patient."
)
NOTHING_YET = (
    "Agreement is shown here: add pairs of slides, or read a table of matched regions, and press "
    "Compare."
)
NEW_MAP = "A new map, each patient estimated from the others"
FROM_FILE = "A calibration in a file…"
QUANTITIES: tuple[Quantity, ...] = ("od", "h-score", "percent")


class CompareDialog(TellingDialog):
    """Emits what the user wants; the part that owns it does the work."""

    compare_wanted = Signal()
    cancelled = Signal()
    add_wanted = Signal()
    table_given = Signal(str)
    calibration_given = Signal(str)
    save_wanted = Signal()
    report_wanted = Signal()
    load_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Compare with real IHC")
        self._running = self._can_save = self._can_report = self._can_load = False
        self.model = WrappedLabel()
        self.marker = QLineEdit()
        self.marker.setToolTip("Gene or marker whose predicted values are compared")
        self.patient = QLineEdit()
        self.patient.setPlaceholderText("Any name; the same for slides of one patient")
        self.predicted = SideBox(
            "Predicted (H&&E slide)", "Cells", "Regions", "QuPath annotations (*.geojson)"
        )
        self.measured = SideBox(
            "Measured (stained slide)", "Cells", "Regions or landmarks",
            "Annotations or landmarks (*.geojson *.csv)",
        )  # fmt: skip
        self.add = QPushButton("Add pair")
        self.table = QPushButton("Read table…")
        self.table.setToolTip("A CSV of matched regions, or of pairs of slides: see the manual")
        self.remove = QPushButton("Remove")
        self.pairs = PairList()
        self.quantity = QComboBox()
        for quantity in QUANTITIES:
            self.quantity.addItem(UNITS[quantity], quantity)
        self.same_section = QCheckBox("Same section, stained again: match cells")
        self.estimate = QComboBox()
        self.estimate.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.compare = QPushButton("Compare")
        self.stop = QPushButton("Cancel")
        self.figures = FigurePane()
        self.lines = QLabel()
        self.lines.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.lines.setWordWrap(True)
        self.lines.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.clone, self.scanner = QLineEdit(), QLineEdit()
        self.clone.setPlaceholderText("Antibody clone")
        self.scanner.setPlaceholderText("Scanner of the stained slides")
        self.saved_as = SaveField(
            "Save as calibration",
            "Model with this calibration (*.safetensors);;Calibration alone (*.json)",
        )
        self.save = QPushButton("Save as calibration")
        self.report_as = SaveField("Validation report", "HTML (*.html);;Markdown (*.md)")
        self.report = QPushButton("Write validation report")
        self.load = QPushButton("Load the new model")
        self.close_button = QPushButton("Close")
        for button in self._buttons:
            button.setAutoDefault(False)
        whole = QHBoxLayout(self)
        left = QWidget()
        left.setLayout(self._form())
        left.setFixedWidth(FORM_PX)
        whole.addWidget(left)
        whole.addLayout(self._result(), 1)
        self.resize(*SIZE_PX)
        self._connect()
        self.set_model("", [])
        self.set_result([], [])

    # ---- what it is told ---------------------------------------------------------------------

    def set_model(self, name: str, calibrations: Sequence[Calibration]) -> None:
        """Another model, with the calibrations of its card."""
        self.model.setText(name or "no model")
        self.estimate.clear()
        self.estimate.addItem(NEW_MAP, None)
        for calibration in calibrations:
            self.estimate.addItem(f"{calibration.marker}: {calibration.named()}", calibration)
        self.estimate.addItem(FROM_FILE, FROM_FILE)

    def add_calibration(self, calibration: Calibration, name: str) -> None:
        """Offer the calibration of a file, and choose it."""
        place = self.estimate.count() - 1
        self.estimate.insertItem(place, f"{name}: {calibration.named()}", calibration)
        self.estimate.setCurrentIndex(place)

    def set_result(self, figures: Sequence[str], lines: Sequence[str]) -> None:
        """Show what was found; nothing clears it."""
        self.figures.set_figures(figures)
        self.lines.setText("\n".join(lines) or NOTHING_YET)

    def allow(self, save: bool, report: bool, load: bool) -> None:
        """What can be done with the result."""
        self._can_save, self._can_report, self._can_load = save, report, load
        self._arrange()

    def set_running(self, running: bool) -> None:
        self._running = running
        self._arrange()

    # ---- what it says ------------------------------------------------------------------------

    @property
    def calibration(self) -> Calibration | None:
        """To hold against the regions; None fits a new map."""
        chosen = self.estimate.currentData()
        return chosen if isinstance(chosen, Calibration) else None

    @property
    def chosen_quantity(self) -> Quantity:
        return QUANTITIES[self.quantity.currentIndex()]

    def draft(self) -> PairDraft:
        """The pair that the fields name, checked.

        Raises
        ------
        BadTable
            No patient.
        """
        predicted, measured = self.predicted.taken, self.measured.taken
        side = Path(self.measured.regions.text)
        landmarks = side.suffix.lower() == ".csv"
        here: PredictedInView | PredictedFiles = (
            predicted
            if isinstance(predicted, PredictedInView)
            else PredictedFiles(Path(self.predicted.cells.text), Path(self.predicted.regions.text))
        )
        there: MeasuredInView | MeasuredFiles
        if isinstance(measured, MeasuredInView):
            there = measured
        else:
            named = bool(self.measured.regions.text)
            there = MeasuredFiles(
                Path(self.measured.cells.text),
                side if named and not landmarks else None,
                side if named and landmarks else None,
            )
        slide = Path(here.name).stem
        return PairDraft(self.patient.text(), here, there, slide).checked()

    # ---- layout ------------------------------------------------------------------------------

    @property
    def _buttons(self) -> tuple[QPushButton, ...]:
        return (
            self.add, self.table, self.remove, self.compare, self.stop, self.save, self.report,
            self.load, self.close_button,
        )  # fmt: skip

    def _form(self) -> QVBoxLayout:
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(WrappedLabel(INTRODUCTION))
        head = _form(("Model", self.model), ("Marker", self.marker), ("Patient", self.patient))
        layout.addLayout(head)
        layout.addWidget(self.predicted)
        layout.addWidget(self.measured)
        layout.addLayout(row_of(self.add, self.table, self.remove))
        layout.addWidget(self.pairs, 1)
        layout.addLayout(_form(("Measured", self.quantity), ("Estimate with", self.estimate)))
        layout.addWidget(self.same_section)
        layout.addLayout(row_of(self.compare, self.stop))
        return layout

    def _result(self) -> QVBoxLayout:
        scroller = QScrollArea()
        scroller.setWidget(self.lines)
        scroller.setWidgetResizable(True)
        layout = QVBoxLayout()
        layout.addWidget(self.figures, 3)
        layout.addWidget(scroller, 2)
        layout.addLayout(row_of(QLabel("Clone"), self.clone, QLabel("Scanner"), self.scanner))
        layout.addLayout(row_of(self.saved_as, self.save))
        layout.addLayout(row_of(self.report_as, self.report))
        layout.addWidget(self.message)
        notice = WrappedLabel(RESEARCH_USE)
        notice.setStyleSheet("color: #9aa0a6;")
        layout.addWidget(notice)
        last = row_of(self.load, self.close_button)
        last.insertStretch(0)
        layout.addLayout(last)
        return layout

    def _connect(self) -> None:
        self.add.clicked.connect(self.add_wanted)
        self.table.clicked.connect(self._on_table)
        self.remove.clicked.connect(self.pairs.remove_selected)
        self.pairs.changed.connect(self._arrange)
        self.compare.clicked.connect(self.compare_wanted)
        self.stop.clicked.connect(self.cancelled)
        self.save.clicked.connect(self.save_wanted)
        self.report.clicked.connect(self.report_wanted)
        self.load.clicked.connect(self.load_wanted)
        self.close_button.clicked.connect(self.hide)
        self.estimate.activated.connect(self._on_estimate)

    def _on_table(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Matched regions", "", "Table (*.csv)")
        if path:
            self.table_given.emit(path)

    def _on_estimate(self) -> None:
        if self.estimate.currentData() == FROM_FILE:
            self.estimate.setCurrentIndex(0)
            path, _ = QFileDialog.getOpenFileName(self, "Calibration", "", "Calibration (*.json)")
            if path:
                self.calibration_given.emit(path)

    def _arrange(self) -> None:
        """What can be done now."""
        idle = not self._running
        self.compare.setEnabled(idle and bool(self.pairs.parts))
        self.stop.setVisible(self._running)
        for widget in (self.saved_as, self.save):
            widget.setEnabled(idle and self._can_save)
        for widget in (self.report_as, self.report):
            widget.setEnabled(idle and self._can_report)
        self.load.setVisible(self._can_load)
        self.load.setEnabled(idle)


def _form(*rows: tuple[str, QWidget]) -> QFormLayout:
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, field in rows:
        form.addRow(label, field)
    return form

"""The panel's section on measured tissue: open it, look at it beside the prediction, place it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.legend import Legend
from napari_past.plugin.measured.picking_box import PickingBox
from napari_past.plugin.staining import Staining
from napari_past.plugin.wrapped_label import WrappedLabel

FILES = "Measured tissue (*.h5ad *.tsv *.tsv.gz experiment.xenium);;AnnData (*.h5ad);;All files (*)"
_GREY, _AMBER = "color: #9aa0a6;", "color: #f0b94a;"


class RowsWay(StrEnum):
    """How measured and predicted values share the canvas."""

    CELLS = "Cells only"
    MEASURED = "Measured"
    PREDICTED = "Predicted"
    RESIDUAL = "Residual"
    SWIPE = "Swipe"
    BESIDE = "Side by side"


NEED_PREDICTED = (RowsWay.PREDICTED, RowsWay.RESIDUAL, RowsWay.SWIPE, RowsWay.BESIDE)
_TIPS = {
    RowsWay.CELLS: "The predicted cells alone, in the colours chosen below.",
    RowsWay.MEASURED: "What was measured, on the H&E.",
    RowsWay.PREDICTED: "What the model predicts for the measured rows, in the same colours.",
    RowsWay.RESIDUAL: "Predicted less measured: where the model is too high or too low.",
    RowsWay.SWIPE: "Predicted to the left of a divider, measured to its right: drag it.",
    RowsWay.BESIDE: "Predicted and measured beside each other, moved together.",
}


class MeasuredBox(QWidget):
    """Emits what the user wants; knows neither slides nor layers."""

    path_given = Signal(str)
    way_chosen = Signal(object)
    gene_chosen = Signal(str)
    standard_toggled = Signal()
    predict_wanted = Signal()
    cancelled = Signal()
    picking_wanted = Signal()
    undo_wanted = Signal()
    close_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.open = QPushButton("Open measured …")
        self.open.setToolTip(
            "Xenium, Visium, Visium HD, ST or an AnnData table of this very tissue; or drop it "
            "into the window."
        )
        menu = QMenu(self.open)
        menu.addAction("A file …", self._on_file)
        menu.addAction("A folder …", self._on_folder)
        self.open.setMenu(menu)
        self.leave = QPushButton("Close it")
        self.facts, self.warnings, self.notes = WrappedLabel(), WrappedLabel(), WrappedLabel()
        self.words = WrappedLabel()
        self.warnings.setStyleSheet(_AMBER)
        self.notes.setStyleSheet(_GREY)
        self.words.setStyleSheet(_GREY)
        self.buttons = {way: QPushButton(way) for way in RowsWay}
        self._ways = QButtonGroup(self)
        self._looking = QWidget()
        grid = QGridLayout(self._looking)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for k, (way, button) in enumerate(self.buttons.items()):
            button.setCheckable(True)
            button.setToolTip(_TIPS[way])
            self._ways.addButton(button)
            grid.addWidget(button, k // 3, k % 3)
            button.clicked.connect(lambda _, way=way: self.way_chosen.emit(way))
        self.standard = QCheckBox("Compare patterns, not levels")
        self.standard.setToolTip("Both sides as standard deviations from their own mean.")
        self.genes = QComboBox()
        self.genes.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.genes.setMaxVisibleItems(18)
        self.genes.setToolTip("Genes that were measured and that the model predicts.")
        self._genes = QWidget()
        _row(self._genes, QLabel("Shared genes"), self.genes)
        self.legend = Legend()
        self.progress = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self._working = QWidget()
        _row(self._working, self.progress, self.cancel)
        self.predict = QPushButton("Predict on these rows")
        self.validate = QPushButton("Validate on this tissue …")
        self.validate.setToolTip(
            "Hold predicted against measured values, gene by gene, beside baselines."
        )
        self.pick = QPushButton("Place by landmarks …")
        self.undo = QPushButton("Undo placement")
        self._placing = QWidget()
        _row(self._placing, self.pick, self.undo)
        self.validate.setStyleSheet("font-weight: 600;")
        self.picking = PickingBox()
        self._opening = QWidget()
        _row(self._opening, self.open, self.leave)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (
            self._opening, self.facts, self.warnings, self.notes, self._looking, self._genes,
            self.standard, self.legend, self.words, self._working, self.predict, self.validate,
            self._placing, self.picking,
        ):  # fmt: skip
            layout.addWidget(widget)
        self.standard.toggled.connect(lambda _: self.standard_toggled.emit())
        self.genes.activated.connect(lambda _: self.gene_chosen.emit(self.genes.currentData()))
        self.predict.clicked.connect(self.predict_wanted)
        self.cancel.clicked.connect(self.cancelled)
        self.pick.clicked.connect(self.picking_wanted)
        self.undo.clicked.connect(self.undo_wanted)
        self.leave.clicked.connect(self.close_wanted)
        self.show_none()

    # ---- what it is told ---------------------------------------------------------------------

    def show_none(self) -> None:
        """Nothing is measured: there is only the way to open it."""
        for widget in (
            self.leave, self.facts, self.warnings, self.notes, self._looking, self._genes,
            self.standard, self.legend, self.words, self.predict, self.validate, self._placing,
            self.picking,
        ):  # fmt: skip
            widget.hide()
        self.genes.clear()
        self.end_work()

    def show_section(
        self, facts: str, warnings: Sequence[str], notes: Sequence[str], can_undo: bool
    ) -> None:
        """Tell of a section, of what is odd about it, and of what its reader decided."""
        self.facts.setText(facts)
        _tell(self.warnings, "\n".join(warnings))
        _tell(self.notes, " ".join(notes))
        for widget in (self.leave, self.facts, self._placing, self.pick):
            widget.show()
        self.undo.setVisible(can_undo)

    def show_way(self, way: RowsWay, on_slide: bool, why_not: str, picking: bool) -> None:
        """How it is looked at, and what can be.

        Parameters
        ----------
        on_slide
            Whether any row lies on the slide.
        why_not
            Why nothing can be predicted; empty where it can.
        picking
            Whether landmarks are picked: nothing else can be looked at meanwhile.
        """
        with QSignalBlocker(self._ways):
            self.buttons[way].setChecked(True)
        for other, button in self.buttons.items():
            button.setEnabled(not why_not or other not in NEED_PREDICTED)
        self._looking.setVisible(on_slide and not picking)
        self.validate.setVisible(on_slide and not picking and not why_not)
        self.picking.setVisible(picking)
        self._placing.setVisible(not picking)

    def show_values(self, shown: Staining | None, words: str, standard: bool) -> None:
        """The legend of what is seen, and what is to be known of it."""
        self.legend.set_staining(shown)
        self.legend.setVisible(shown is not None)
        self.standard.setVisible(standard)
        _tell(self.words, words)

    def offer_prediction(self, text: str) -> None:
        """Offer to predict, as a button says; empty takes it away."""
        self.predict.setText(text)
        self.predict.setVisible(bool(text))

    def set_genes(self, genes: Sequence[tuple[str, str]]) -> None:
        """Shared genes, best first: (what to show, the gene)."""
        with QSignalBlocker(self.genes):
            self.genes.clear()
            for text, gene in genes:
                self.genes.addItem(text, gene)
        self._genes.setVisible(bool(genes))

    def set_gene(self, gene: str) -> None:
        """The gene in view."""
        with QSignalBlocker(self.genes):
            self.genes.setCurrentIndex(self.genes.findData(gene))

    def working(self, label: str, share: float | None) -> None:
        """Some work goes on; a share of None is not known."""
        self.progress.setRange(0, 0 if share is None else 100)
        self.progress.setValue(0 if share is None else round(100 * share))
        self.progress.setFormat(f"{label} · %p %")
        self.progress.setToolTip(label)
        self._working.show()

    def end_work(self) -> None:
        self._working.hide()

    # ---- what it says ------------------------------------------------------------------------

    def _on_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open measured tissue", "", FILES)
        if path:
            self.path_given.emit(path)

    def _on_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open the folder of measured tissue")
        if path:
            self.path_given.emit(path)


def _tell(label: WrappedLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))


def _row(box: QWidget, *widgets: QWidget) -> None:
    row = QHBoxLayout(box)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget, 0 if isinstance(widget, QLabel) else 1)

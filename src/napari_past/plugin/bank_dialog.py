"""The dialog that builds a reference bank: which cells, which columns, and where it goes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.errors import PastError
from napari_past.io import TableParts, read_table_parts
from napari_past.model import Model
from napari_past.model.tokens import SPECIES
from napari_past.model.vocabulary import ASSAYS
from napari_past.plugin.bank_build import BankBuild
from napari_past.plugin.bank_request import BankRequest
from napari_past.plugin.latest import Latest
from napari_past.plugin.path_field import PathField
from napari_past.plugin.telling_dialog import TellingDialog
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.types import RESEARCH_USE

NOT_TOLD = "not told"
COUNTS = "X"
WIDTH_PX = 560
INTRODUCTION = (
    "Encodes measured cells with the model's cell tower. The new model looks genes and cell types "
    "up among them. It takes minutes to hours; the viewer stays usable."
)


class BankDialog(TellingDialog):
    """Emits `built` with the folder of the new model.

    Parameters
    ----------
    build
        Does the work; made anew if omitted.
    """

    built = Signal(str)

    def __init__(self, parent: QWidget | None = None, build: BankBuild | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Reference bank")
        self._model: Model | None = None
        self._proposed = ""
        """The folder that stands there unless the user named another."""
        self.build = BankBuild(self) if build is None else build
        self.model = WrappedLabel()
        self.cells = PathField("Cells", "AnnData (*.h5ad)")
        self.layer = QComboBox()
        self.layer.setToolTip("Where the raw counts are: X, or a layer.")
        self.type_key, self.patient_key, self.study_key = QComboBox(), QComboBox(), QComboBox()
        self.genes = PathField("Genes", "Genes (*.h5ad *.txt *.csv)")
        self.genes.setToolTip("The genes in the order of their tokens: Nicheformer's model.h5ad.")
        self.means = PathField("Means", "Means (*.npy *.csv)")
        self.means.setToolTip("Mean count of each gene in the technology.")
        self.technology, self.species = QComboBox(), QComboBox()
        self.technology.addItems(list(ASSAYS))
        self.technology.setCurrentText("Xenium")
        self.species.addItems(list(SPECIES))
        self.out = PathField("Folder of the new model", "", folder=True)
        self.progress = QProgressBar()
        self.progress.setFormat("%v of %m cells")
        self.start = QPushButton("Build")
        self.stop = QPushButton("Cancel")
        self.close_button = QPushButton("Close")

        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, field in (
            ("Model", self.model), ("Measured cells", self.cells), ("Raw counts in", self.layer),
            ("Cell type", self.type_key), ("Patient", self.patient_key), ("Study", self.study_key),
            ("Technology", self.technology), ("Species", self.species),
            ("Genes, in order", self.genes), ("Their means", self.means), ("New folder", self.out),
        ):  # fmt: skip
            form.addRow(label, field)
        buttons = QHBoxLayout()
        buttons.addStretch()
        for button in (self.start, self.stop, self.close_button):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        notice = WrappedLabel(RESEARCH_USE)
        notice.setStyleSheet("color: #9aa0a6;")
        layout = QVBoxLayout(self)
        layout.addWidget(WrappedLabel(INTRODUCTION))
        layout.addLayout(form)
        layout.addWidget(self.message)
        layout.addWidget(self.progress)
        layout.addWidget(notice)
        layout.addStretch()
        layout.addLayout(buttons)
        self.resize(WIDTH_PX, self.sizeHint().height())

        self._reading = Latest(self)
        self._reading.ready.connect(self._on_parts)
        self.cells.changed.connect(self._on_cells)
        self.start.clicked.connect(self._on_start)
        self.stop.clicked.connect(self.cancel)
        self.close_button.clicked.connect(self.hide)
        self.build.progressed.connect(self._on_progress)
        self.build.built.connect(self._on_built)
        self.build.failed.connect(self._on_failed)
        self.build.cancelled.connect(self._on_cancelled)
        self._offer(TableParts((), (), 0))
        self._arrange()

    def set_model(self, model: Model) -> None:
        """Encode with another model, from the next bank on."""
        self._model = model
        able = model.card.cell_tower is not None
        self.model.setText(
            model.name
            if able
            else f"{model.name} has no cell tower, so it cannot encode measured cells: close this "
            f"and load a model with one first, such as PAST (`napari-past models fetch past`)."
        )
        self._propose()
        self._arrange()

    def cancel(self) -> None:
        """End the work that goes on; nothing is left of it."""
        self.build.cancel()

    def request(self) -> BankRequest:
        """What the fields say."""
        return BankRequest(
            model="" if self._model is None else self._model.path,
            cells=self.cells.text,
            genes=self.genes.text,
            means=self.means.text,
            out=self.out.text,
            layer="" if self.layer.currentIndex() < 1 else self.layer.currentText(),
            type_key=_chosen(self.type_key),
            patient_key=_chosen(self.patient_key),
            study_key=_chosen(self.study_key),
            technology=self.technology.currentText(),
            species=self.species.currentText(),
        )

    def _on_cells(self) -> None:
        self._offer(TableParts((), (), 0))
        self._propose()
        self.tell("Reading the columns …")
        self._reading.ask(partial(_parts_of, self.cells.text))
        self._arrange()

    def _on_parts(self, parts: TableParts | str) -> None:
        if isinstance(parts, str):
            self.tell(parts)
        else:
            self.tell(f"{parts.cells:,} cells.")
            self._offer(parts)
        self._arrange()

    def _offer(self, parts: TableParts) -> None:
        """The columns and layers of a table, the usual ones chosen."""
        self.layer.clear()
        self.layer.addItems([COUNTS, *parts.layers])
        if "counts" in parts.layers:
            self.layer.setCurrentText("counts")
        for box, usual in (
            (self.type_key, "cell_type"), (self.patient_key, "patient"), (self.study_key, "study"),
        ):  # fmt: skip
            box.clear()
            # Where the usual column is there, it is taken whatever is said.
            box.addItems([*([] if usual in parts.columns else [NOT_TOLD]), *parts.columns])
            if usual in parts.columns:
                box.setCurrentText(usual)

    def _propose(self) -> None:
        """A folder beside the cells, unless the user named one."""
        if self._model is None or not self.cells.text or self.out.text != self._proposed:
            return
        cells = Path(self.cells.text)
        self._proposed = str(cells.parent / f"{self._model.name}-{cells.stem}")
        self.out.set_text(self._proposed)

    def _on_start(self) -> None:
        try:
            self.build.start(self.request())
        except PastError as exc:
            self.tell(str(exc))
            return
        self.progress.setRange(0, 0)
        self.tell("Reading the model and the cells …")
        self._arrange()

    def _on_progress(self, done: int, cells: int) -> None:
        self.progress.setRange(0, cells)
        self.progress.setValue(done)
        last = "Writing the bank …" if done == cells else "Encoding …"
        self.tell(last)

    def _on_built(self, folder: str, told: str) -> None:
        self.tell(told)
        self._arrange()
        self.built.emit(folder)

    def _on_failed(self, why: str) -> None:
        self.tell(why)
        self._arrange()

    def _on_cancelled(self) -> None:
        self.tell("Cancelled; nothing was written.")
        self._arrange()

    def _arrange(self) -> None:
        """What can be done now."""
        running = self.build.running
        able = self._model is not None and self._model.card.cell_tower is not None
        # Until then nobody has chosen the columns.
        self.start.setEnabled(able and not running and not self._reading.busy)
        self.stop.setEnabled(running)
        self.progress.setVisible(running)


def _parts_of(path: str) -> TableParts | str:
    """Columns and layers of a table, or in one sentence why there are none; empty without path."""
    if not path:
        return ""
    try:
        return read_table_parts(path)
    except PastError as exc:
        return str(exc)


def _chosen(box: QComboBox) -> str:
    text = box.currentText()
    return "" if text == NOT_TOLD else text

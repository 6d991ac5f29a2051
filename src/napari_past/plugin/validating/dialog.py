"""The window in which predicted values are held against what was measured on the same tissue."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.layouts import row_of, rule
from napari_past.plugin.path_field import PathField
from napari_past.plugin.save_field import SaveField
from napari_past.plugin.telling_dialog import TellingDialog
from napari_past.plugin.validating.pane import ValidationPane
from napari_past.plugin.validating.request import TableAsked, TowerAsked
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.types import RESEARCH_USE

GREY = "#9aa0a6"
SIZE_PX = 1260, 840
FORM_PX = 430
INTRODUCTION = (
    "Predicted values are held against what was measured on the same tissue, beside baselines that "
    "see only colours, or nothing."
)
ALL_THE_SAME = "Validate all the same, and say so"

PLACES = ("Positions as the file says", "Positions in µm", "Positions in px")
_PLACED_IN: tuple[Literal["um", "px"] | None, ...] = (None, "um", "px")


class ValidatingDialog(TellingDialog):
    """Emits what the user wants; the part that owns it does the work."""

    validate_wanted = Signal()
    cancelled = Signal()
    save_wanted = Signal()
    file_given = Signal(str)
    """A validation file."""
    use_wanted = Signal()
    own_wanted = Signal()
    residual_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Validate on this tissue")
        self._running = self._able = self._can_save = self._can_use = self._has_own = False
        self._residual = False
        self.facts = WrappedLabel()
        self.model = QRadioButton()
        self.table = QRadioButton("A table of predictions from elsewhere")
        self.tower = QRadioButton("Ridge regression on a frozen tower")
        self._chosen = QButtonGroup(self)
        for button in (self.model, self.table, self.tower):
            self._chosen.addButton(button)
        self.model.setChecked(True)
        self.table_file = PathField("Predictions", "Predictions (*.h5ad *.csv *.tsv *.parquet)")
        self.table_file.setToolTip(
            "Cells or spots in lines and genes in columns: the AnnData or the table that another "
            "model wrote for this section."
        )
        self.layer = QLineEdit()
        self.layer.setPlaceholderText("Layer; X if empty")
        self.placed_in = QComboBox()
        self.placed_in.addItems(PLACES)
        self.tower_file = PathField("Model with a tower", "Model (*.safetensors)")
        self.tower_file.setToolTip(
            "A model's name or file. Its read-out plays no part: a new one is fitted on this "
            "tissue, on rows beside those it is judged on."
        )
        self.all_the_same = QCheckBox(ALL_THE_SAME)
        self.validate = QPushButton("Validate")
        self.stop = QPushButton("Cancel")
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.badges = WrappedLabel()
        self.candidate = WrappedLabel()
        self.candidate.setStyleSheet(f"color: {GREY};")
        self.use = QPushButton("Use as this lab's evidence")
        self.use.setToolTip("Badges, exports and reports then say what it found.")
        self.file = QPushButton("Open validation file…")
        self.file.setToolTip("One that a colleague made of this model, or you earlier (.json)")
        self.own = QPushButton("Back to the model's own evidence")
        self.pane = ValidationPane()
        self.residual = QPushButton("Show the residual on the slide")
        self.residual.setToolTip("Predicted − measured of the gene in view, at each row.")
        self.saved_as = SaveField("Save page", "HTML (*.html);;Markdown (*.md)")
        self.save = QPushButton("Save page")
        self.save.setToolTip("The page, its genes as CSV, and the validation file for the badge")
        self.close_button = QPushButton("Close")
        for plain in (
            self.validate, self.stop, self.use, self.file, self.own, self.residual, self.save,
            self.close_button,
        ):  # fmt: skip
            plain.setAutoDefault(False)
        left = QWidget()
        left.setLayout(self._form())
        left.setFixedWidth(FORM_PX)
        whole = QHBoxLayout(self)
        whole.addWidget(left)
        whole.addLayout(self._right(), 1)
        self.resize(*SIZE_PX)
        self._connect()
        self.tell("")
        self.set_candidate("")
        self.refuse(False)
        self.set_running(False)

    # ---- what it is told ---------------------------------------------------------------------

    def set_facts(self, model: str, facts: Sequence[tuple[str, str]], why_not: str = "") -> None:
        """What would be held against what; why nothing can be, where that is so.

        Parameters
        ----------
        model
            Its name.
        facts
            (what, in words).
        """
        self.facts.setText(why_not or _table(facts))
        self.model.setText(f"The model, {model}")
        self._able = not why_not
        self._arrange()

    def set_badges(self, text: str, has_own: bool) -> None:
        """What the model's badges rest on, and whether that is a validation of the lab's."""
        self.badges.setText(text)
        self._has_own = has_own
        self._arrange()

    def set_candidate(self, text: str) -> None:
        """The validation that badges may rest on; empty for none."""
        self.candidate.setText(text)
        self.candidate.setVisible(bool(text))
        self._can_use = bool(text)
        self._arrange()

    def allow(self, save: bool, residual: bool) -> None:
        """What can be done with the result."""
        self._can_save, self._residual = save, residual
        self._arrange()

    def refuse(self, refused: bool) -> None:
        """Offer to go on with tissue that was trained on, or take the offer back."""
        if not refused:
            self.all_the_same.setChecked(False)
        self.all_the_same.setVisible(refused)

    def set_running(self, running: bool) -> None:
        self._running = running
        self.progress.setVisible(running)
        self._arrange()

    def working(self, text: str, share: float) -> None:
        """How far it is: what is done, and 0 to 1 of it; below 0 nobody knows."""
        self.tell(f"{text} …")
        self.progress.setRange(0, 0 if share < 0 else 100)
        self.progress.setValue(round(100 * max(0.0, share)))

    # ---- what it says ------------------------------------------------------------------------

    @property
    def instead(self) -> TableAsked | TowerAsked | None:
        """What takes the model's place."""
        if self.table.isChecked():
            layer = self.layer.text().strip() or None
            placed_in = _PLACED_IN[self.placed_in.currentIndex()]
            return TableAsked(self.table_file.text, layer, placed_in)
        return TowerAsked(self.tower_file.text) if self.tower.isChecked() else None

    # ---- layout ------------------------------------------------------------------------------

    def _form(self) -> QVBoxLayout:
        layout = QVBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(WrappedLabel(INTRODUCTION))
        layout.addWidget(self.facts)
        layout.addWidget(_heading("What is validated"))
        layout.addWidget(self.model)
        layout.addWidget(self.table)
        layout.addLayout(_indented(self.table_file))
        layout.addLayout(_indented(self.layer, self.placed_in))
        layout.addWidget(self.tower)
        layout.addLayout(_indented(self.tower_file))
        layout.addSpacing(6)
        layout.addWidget(self.message)
        layout.addWidget(self.all_the_same)
        layout.addWidget(self.progress)
        layout.addLayout(row_of(self.validate, self.stop))
        layout.addStretch()
        layout.addWidget(_heading("What badges rest on"))
        layout.addWidget(self.badges)
        layout.addWidget(self.candidate)
        layout.addLayout(row_of(self.use, self.file))
        layout.addWidget(self.own)
        return layout

    def _right(self) -> QVBoxLayout:
        layout = QVBoxLayout()
        layout.addWidget(self.pane, 1)
        layout.addLayout(row_of(self.saved_as, self.save))
        notice = WrappedLabel(RESEARCH_USE)
        notice.setStyleSheet(f"color: {GREY};")
        layout.addWidget(notice)
        last = row_of(self.residual, self.close_button)
        last.insertStretch(0)
        layout.addLayout(last)
        return layout

    def _connect(self) -> None:
        self.validate.clicked.connect(self.validate_wanted)
        self.stop.clicked.connect(self.cancelled)
        self.save.clicked.connect(self.save_wanted)
        self.use.clicked.connect(self.use_wanted)
        self.own.clicked.connect(self.own_wanted)
        self.residual.clicked.connect(self.residual_wanted)
        self.file.clicked.connect(self._on_file)
        self.close_button.clicked.connect(self.hide)
        self._chosen.buttonToggled.connect(self._on_chosen)
        self.table_file.changed.connect(self._on_other)
        self.tower_file.changed.connect(self._on_other)

    def _on_chosen(self) -> None:
        self._on_other()
        self._arrange()

    def _on_other(self) -> None:
        """The refusal was of something else."""
        self.refuse(False)

    def _on_file(self) -> None:
        pattern = "Validation file (*.json)"
        path, _ = QFileDialog.getOpenFileName(self, "Open validation file", "", pattern)
        if path:
            self.file_given.emit(path)

    def _arrange(self) -> None:
        """What can be done now."""
        idle = not self._running
        self.validate.setEnabled(idle and self._able)
        self.stop.setVisible(self._running)
        for choice in (self.model, self.table, self.tower, self.all_the_same):
            choice.setEnabled(idle)
        for field in (self.table_file, self.layer, self.placed_in):
            field.setVisible(self.table.isChecked())
            field.setEnabled(idle)
        self.tower_file.setVisible(self.tower.isChecked())
        self.tower_file.setEnabled(idle)
        self.use.setEnabled(idle and self._can_use)
        self.file.setEnabled(idle)
        self.own.setVisible(self._has_own)
        self.own.setEnabled(idle)
        for widget in (self.saved_as, self.save):
            widget.setVisible(self._can_save)
            widget.setEnabled(idle)
        self.residual.setVisible(self._residual)


def _table(facts: Sequence[tuple[str, str]]) -> str:
    """Lines of a table, as Qt's labels draw them."""
    lines = (
        f'<tr><td style="color: {GREY}; padding-right: 10px">{escape(what)}</td>'
        f"<td>{escape(text)}</td></tr>"
        for what, text in facts
    )
    return f'<table cellpadding="1">{"".join(lines)}</table>'


def _heading(text: str) -> QWidget:
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 6, 0, 0)
    layout.setSpacing(3)
    heading = QLabel(text)
    heading.setStyleSheet("font-weight: 600;")
    layout.addWidget(heading)
    layout.addWidget(rule())
    return box


def _indented(*widgets: QWidget) -> QHBoxLayout:
    row = row_of(*widgets)
    row.setContentsMargins(22, 0, 0, 0)
    return row

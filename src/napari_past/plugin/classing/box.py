"""The user's classes in the panel: naming, labelling, how sure, saving, loading."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.model.classifier import SUFFIX
from napari_past.plugin.classing.class_rows import ClassRowFacts, ClassRows
from napari_past.plugin.decimal_box import DecimalBox
from napari_past.plugin.layouts import row_of
from napari_past.plugin.wrapped_label import WrappedLabel

PATTERN = f"Cell classes (*{SUFFIX} *.json)"
LEAST_PROBABILITY = 0.6
"""Below it a cell is shown as uncertain, until the user says otherwise."""
PROBABILITY_TIP = (
    "Cells whose class is less probable are shown in grey and not counted in it. Files keep every "
    "cell's class with its probability."
)


class ClassesBox(QWidget):
    """Emits what the user asks for; others do it."""

    added = Signal(str)
    """A class by its name."""
    labelling = Signal(bool)
    """Whether clicks label."""
    drawing = Signal(bool)
    """Whether areas are drawn."""
    next_wanted = Signal()
    undo_wanted = Signal()
    redo_wanted = Signal()
    probability_changed = Signal()
    load_wanted = Signal(str)
    save_wanted = Signal()
    put_away = Signal()
    """The loaded classifier is not wanted any more."""

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit()
        self.name.setPlaceholderText("Name of a class, such as Tumour")
        self.add = QPushButton("Add class")
        self.rows = ClassRows()
        self.label = QPushButton("Label cells")
        self.label.setCheckable(True)
        self.label.setToolTip(
            "While on, a click gives a cell the chosen class; dragging still pans."
        )
        self.draw = QPushButton("Draw area")
        self.draw.setCheckable(True)
        self.draw.setToolTip("Hold the mouse button around tissue: all cells in it get the class.")
        self.next = QPushButton("Next to label")
        self.next.setToolTip("Flies to a cell that would teach the classifier much (key N).")
        self.undo, self.redo = QToolButton(), QToolButton()
        for button, text, tip in (
            (self.undo, "↶", "Undo the last label or other annotation (Ctrl-Z)"),
            (self.redo, "↷", "Redo (Ctrl-Shift-Z)"),
        ):
            button.setText(text)
            button.setToolTip(tip)
        self.hint = WrappedLabel()
        self.probability = DecimalBox()
        self.probability.setDecimals(2)
        self.probability.setRange(0.0, 1.0)
        self.probability.setSingleStep(0.05)
        self.probability.setValue(LEAST_PROBABILITY)
        self.probability.setKeyboardTracking(False)
        self.probability.setToolTip(PROBABILITY_TIP)
        self.honesty = WrappedLabel()
        self.honesty.setStyleSheet("color: #9aa0a6;")
        self.save = QPushButton("Save classifier…")
        self.load = QPushButton("Load classifier…")
        self.away = QPushButton("Back to my labels")

        self._naming = _box(row_of(self.name, self.add))
        self._labelling = _box(row_of(self.label, self.draw, self.next, self.undo, self.redo))
        grey = QLabel("Grey below a probability of")
        grey.setToolTip(PROBABILITY_TIP)
        sure = row_of(grey, self.probability)
        sure.addStretch()
        self._sure = _box(sure)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for part in (self._naming, self.rows, self._labelling, self.hint, self._sure, self.honesty):
            layout.addWidget(part)
        layout.addWidget(_box(row_of(self.save, self.load, self.away)))

        self.add.clicked.connect(self._on_add)
        self.name.returnPressed.connect(self._on_add)
        self.label.toggled.connect(self.labelling)
        self.draw.toggled.connect(self.drawing)
        self.next.clicked.connect(self.next_wanted)
        self.undo.clicked.connect(self.undo_wanted)
        self.redo.clicked.connect(self.redo_wanted)
        self.probability.valueChanged.connect(self.probability_changed)
        self.save.clicked.connect(self.save_wanted)
        self.load.clicked.connect(self._on_load)
        self.away.clicked.connect(self.put_away)
        self.arrange(has_classes=False, loaded=False, classified=False)

    @property
    def least_probability(self) -> float:
        """Of cells that are shown in their class's colour."""
        return float(self.probability.value())

    def show_rows(self, facts: Sequence[ClassRowFacts], chosen: int, editable: bool) -> None:
        """Tell the classes and their cells."""
        self.rows.show_rows(facts, chosen, editable)
        self.rows.setVisible(bool(facts))

    def tell(self, hint: str, honesty: str) -> None:
        """What to do next, and what the classes stand on."""
        for label, text in ((self.hint, hint), (self.honesty, honesty)):
            label.setText(text)
            label.setVisible(bool(text))

    def arrange(self, has_classes: bool, loaded: bool, classified: bool) -> None:
        """Show what has a meaning now."""
        self._naming.setVisible(not loaded)
        self._labelling.setVisible(has_classes and not loaded)
        self.next.setEnabled(classified)
        self._sure.setVisible(classified)
        self.save.setVisible(not loaded)
        self.save.setEnabled(classified)
        self.away.setVisible(loaded)

    def set_modes(self, labelling: bool, drawing: bool) -> None:
        """What the mouse does; nobody is told."""
        for button, on in ((self.label, labelling), (self.draw, drawing)):
            with QSignalBlocker(button):
                button.setChecked(on)

    def named(self) -> None:
        """The name was taken."""
        self.name.clear()

    def _on_add(self) -> None:
        self.added.emit(self.name.text())

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load classifier", "", PATTERN)
        if path:
            self.load_wanted.emit(path)


def _box(row: QHBoxLayout) -> QWidget:
    box = QWidget()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(6)
    box.setLayout(row)
    return box

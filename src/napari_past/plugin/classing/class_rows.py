"""The user's classes as lines: the legend, and where the class that is given next is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.cell_types import colours_by_label

_SWATCH_PX, _KEY_PX, _MORE_PX, _ROW_PX = 14, 14, 24, 24
_CHOSEN = "#classRow { background: #414b57; border-radius: 3px; }"


@dataclass(frozen=True)
class ClassRowFacts:
    """A line of it."""

    label: int
    """Of the colour, as the layer has it."""
    name: str
    labelled: str = ""
    """How much was labelled with it; empty where nobody labels."""
    cells: int | None = None
    """Of the analysed part of the slide; None while nothing is classified."""
    share: float = 0.0
    """Of the cells that count, 0–1."""
    key: int = 0
    """That chooses it; 0 where none does."""


class ClassRow(QFrame):
    """Emits `chosen` when it is clicked."""

    chosen = Signal()
    renamed = Signal(str)
    removed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("classRow")
        self.key, self.name, self.labelled, self.cells = QLabel(), QLabel(), QLabel(), QLabel()
        self.key.setFixedWidth(_KEY_PX)
        # Layouts in a scroll area squeeze what does not tell its own height.
        self.setFixedHeight(_ROW_PX)
        self.key.setStyleSheet("color: #9aa0a6;")
        self.swatch = QFrame()
        self.swatch.setFixedSize(_SWATCH_PX, _SWATCH_PX)
        # A long name is cut at its end, where the tool tip has it whole.
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        for number in (self.labelled, self.cells):
            number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.labelled.setStyleSheet("color: #9aa0a6;")
        self.more = QToolButton()
        self.more.setText("⋯")
        self.more.setToolTip("Rename or remove this class")
        self.more.setAutoRaise(True)
        self.more.setFixedWidth(_MORE_PX)
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        menu = QMenu(self.more)
        menu.addAction("Rename …").triggered.connect(self._on_rename)
        menu.addAction("Remove with its labels").triggered.connect(lambda _: self.removed.emit())
        self.more.setMenu(menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 1, 0, 1)
        row.setSpacing(6)
        row.addWidget(self.key)
        row.addWidget(self.swatch)
        row.addWidget(self.name, 1)
        for part in (self.labelled, self.cells, self.more):
            row.addWidget(part)

    def show_row(self, facts: ClassRowFacts, chosen: bool, editable: bool) -> None:
        """Tell another class, or other numbers."""
        red, green, blue = colours_by_label()[facts.label]
        self.swatch.setStyleSheet(
            f"background: rgb({red}, {green}, {blue}); border: 1px solid #d0d4d8; "
            f"border-radius: 3px;"
        )
        self.key.setText(str(facts.key) if facts.key else "")
        self.name.setText(facts.name)
        self.name.setToolTip(facts.name)
        self.labelled.setText(facts.labelled)
        told = "" if facts.cells is None else f"{facts.cells:,}  ({100 * facts.share:.0f} %)"
        self.cells.setText(told)
        self.more.setEnabled(editable)
        self.more.setText("⋯" if editable else "")
        self.setStyleSheet(_CHOSEN if chosen else "")
        self.setAccessibleDescription(f"{facts.name}, {facts.labelled}, {told}")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self.chosen.emit()

    def _on_rename(self) -> None:
        name, agreed = QInputDialog.getText(self, "Rename", "Name", text=self.name.text())
        if agreed:
            self.renamed.emit(name)


class ClassRows(QWidget):
    """Emits places among the classes."""

    chosen = Signal(int)
    renamed = Signal(int, str)
    removed = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[ClassRow] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)

    def show_rows(self, facts: Sequence[ClassRowFacts], chosen: int, editable: bool) -> None:
        """Show these lines.

        Parameters
        ----------
        chosen
            Place of the class that is given next; −1 for none.
        editable
            Whether classes may be renamed and removed. Lines without a key are no classes.
        """
        while len(self._rows) < len(facts):
            row, place = ClassRow(), len(self._rows)
            row.chosen.connect(partial(self.chosen.emit, place))
            row.renamed.connect(partial(self.renamed.emit, place))
            row.removed.connect(partial(self.removed.emit, place))
            self._layout.addWidget(row)
            self._rows.append(row)
        for place, row in enumerate(self._rows):
            row.setVisible(place < len(facts))
            if place < len(facts):
                told = facts[place]
                row.show_row(told, place == chosen, editable and told.key > 0)
        shown = self._rows[: len(facts)]
        _as_wide([row.labelled for row in shown])
        _as_wide([row.cells for row in shown])

    def text(self) -> str:
        """What the lines say, in words."""
        shown = [row for row in self._rows if not row.isHidden()]
        return "; ".join(f"{r.name.text()}: {r.labelled.text()} {r.cells.text()}" for r in shown)


def _as_wide(labels: Sequence[QLabel]) -> None:
    """Make a column of them, as wide as the longest and no wider: names need the room."""
    for label in labels:
        label.setMinimumWidth(0)
    widest = max((label.sizeHint().width() for label in labels), default=0)
    for label in labels:
        label.setFixedWidth(widest)

"""What is known of one cell, and the user's note on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from napari_past.plugin.wrapped_label import WrappedLabel

EMPTY = "Point at a cell; click to keep it here."
MOST_BROUGHT = 8
"""Of what a cell came with, told here: QuPath measures dozens of things."""
NOT_FLAGGED = "not flagged, which is no promise"


@dataclass(frozen=True)
class GeneFact:
    """One gene of a cell, as it is told."""

    name: str
    value: str
    """With its unit."""
    reliability: str


@dataclass(frozen=True)
class CellFacts:
    """One cell in plain words and numbers."""

    id: str
    """Its own where it was brought with one."""
    genes: tuple[GeneFact, ...]
    cell_type: str
    """The nearest of a reference bank, by how much; empty without one."""
    class_name: str
    """Empty where there is none."""
    unlike_training: float
    """Distance from the training cells; above 1 it is flagged."""
    unscored: str
    """Why the cell is not scored; empty where it is."""
    x_um: float
    y_um: float
    area_um2: float
    note: str
    measured: tuple[tuple[str, str], ...] = ()
    """Names and texts of what was measured of a real stain, which knows no training."""
    reference: str = ""
    """What the nearest cells of the bank are; empty where that is not known, or not yet."""
    brought: tuple[tuple[str, str], ...] = ()
    """Names and texts of what the cell came with, where somebody else found it."""
    own_class: str = ""
    """Of the user's classes, with its probability; empty where none is known."""
    key: str = ""
    """By which its note is kept; empty for the id. Ids of different files may be alike."""

    @property
    def flag(self) -> str:
        """The out-of-distribution flag in words."""
        if math.isnan(self.unlike_training):
            return "not known: the model does not tell what its training cells are like"
        if self.unlike_training > 1:
            return f"looks unlike the training cells: {self.unlike_training:.1f}x the limit"
        return NOT_FLAGGED

    def lines(self) -> list[tuple[str, str]]:
        """Names and texts, in the order in which they are read."""
        lines = []
        for gene in self.genes:
            lines += [(gene.name, gene.value), ("evidence", gene.reliability)]
        if self.cell_type:
            parts = (self.cell_type, self.reference)
            lines.append(("type", "; ".join(part for part in parts if part)))
        if self.own_class:
            lines.append(("my class", self.own_class))
        if self.class_name:
            lines.append(("class", self.class_name))
        if self.measured:
            lines += self.measured
        else:
            lines.append(("training", self.flag))
        if self.unscored:
            lines.append(("not scored", self.unscored))
        lines.append(("place", f"x {self.x_um:.1f}, y {self.y_um:.1f} µm"))
        lines.append(("nucleus", f"{self.area_um2:.0f} µm²"))
        more = len(self.brought) - MOST_BROUGHT
        lines += self.brought[:MOST_BROUGHT]
        if more > 0:
            lines.append(("", f"and {more:,} more, in the exported files"))
        return lines

    @property
    def summary(self) -> str:
        """A few lines to stand beside the pointer."""
        genes = [f"{g.name} {g.value}" for g in self.genes]
        flags = [self.flag] if self.unlike_training > 1 else []
        reasons = [f"not scored: {self.unscored}"] if self.unscored else []
        evidence = [g.reliability for g in self.genes]
        parts = [
            *genes,
            self.cell_type,
            self.own_class,
            self.class_name,
            *evidence,
            *flags,
            *reasons,
        ]
        return "\n".join(part for part in parts if part)


class CellDetails(QWidget):
    """Shows a cell and takes a note on it.

    While a note is being written its cell stays, whichever others the pointer passes over, and the
    widget does not shrink from cell to cell, so that what is below it does not jump.
    """

    note_changed = Signal(str, str)
    """By what a cell's note is kept, and the note as it is now; empty where it was taken away."""

    def __init__(self) -> None:
        super().__init__()
        self._facts: CellFacts | None = None
        self._genes = 0
        self.hint = WrappedLabel(EMPTY)
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(2)
        self._form.setHorizontalSpacing(10)
        self.rows: list[tuple[QLabel, WrappedLabel]] = []
        self.id = QLabel()
        self.id.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.id.setToolTip("The cell's id, the same as in exported files.")
        self.id.setStyleSheet("color: #9aa0a6;")
        self.note = QLineEdit()
        self.note.setPlaceholderText("Note on this cell")
        self.note.editingFinished.connect(self._on_note)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.hint)
        layout.addLayout(self._form)
        layout.addWidget(self.id)
        layout.addWidget(self.note)
        layout.addStretch()
        # The stretch fills the height that is held; it takes none from other sections.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.show_cell(None)

    @property
    def facts(self) -> CellFacts | None:
        """Of the cell that is shown."""
        return self._facts

    def show_cell(self, facts: CellFacts | None) -> None:
        """Show a cell, or how to choose one.

        Ignored while a note on another cell is being written; None is not, and keeps that note.
        """
        before = self._facts
        if self._writing:
            if facts is None:
                self._on_note()
            elif before is not None and facts.id != before.id:
                return
        keep_text = self._writing
        self._hold_height(facts)
        self._facts = facts
        self._show_lines([] if facts is None else facts.lines())
        self.hint.setVisible(facts is None)
        self.id.setVisible(facts is not None)
        self.note.setVisible(facts is not None)
        if facts is not None:
            self.id.setText(facts.id)
            if not keep_text:
                with QSignalBlocker(self.note):
                    self.note.setText(facts.note)

    @property
    def _writing(self) -> bool:
        """Whether the note's text is not told yet."""
        return self._facts is not None and self.note.text() != self._facts.note

    def _show_lines(self, lines: list[tuple[str, str]]) -> None:
        while len(self.rows) < len(lines):
            name, text = QLabel(), WrappedLabel()
            name.setStyleSheet("color: #9aa0a6;")
            self._form.addRow(name, text)
            self.rows.append((name, text))
        for k, (name, text) in enumerate(self.rows):
            shown = k < len(lines)
            name.setVisible(shown)
            text.setVisible(shown)
            if shown:
                name.setText(lines[k][0])
                text.setText(lines[k][1])

    def _hold_height(self, facts: CellFacts | None) -> None:
        """Stay as high as the cells before were, until there are more or fewer genes to tell."""
        genes = self._genes if facts is None else len(facts.genes)
        if genes != self._genes:
            self._genes = genes
            self.setMinimumHeight(0)
        elif self._facts is not None and self.isVisible():
            self.setMinimumHeight(self.height())

    def _on_note(self) -> None:
        if self._facts is not None and self._writing:
            self._facts = replace(self._facts, note=self.note.text())
            self.note_changed.emit(self._facts.key or self._facts.id, self._facts.note)

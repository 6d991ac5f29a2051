"""Whether cells are shown by gene, type or class of the user's, and the legend of the types."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_past.model import Model
from napari_past.plugin.cell_types import LABELS, OTHER, KeyRow, TypeKey, colours_by_label
from napari_past.plugin.decimal_box import DecimalBox
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.types import RESEARCH_USE

_SWATCH_PX = 14
MARGIN_TIP = (
    "How much nearer a cell must be to its type than to the second one, as a difference of "
    "cosines. At 0 every cell has its nearest type, however close the second is."
)


class TypesBox(QWidget):
    """Emits `changed` when the user turns to genes, types or classes, or sets another margin."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.by_gene, self.by_type = QRadioButton("Gene"), QRadioButton("Cell types")
        self.by_type.setToolTip("The nearest types of the model's reference bank")
        self.by_class = QRadioButton("My classes")
        self.by_class.setToolTip("Classes that you name, told by a few cells that you click")
        self.by_gene.setChecked(True)
        self._ways = QButtonGroup(self)
        for button in (self.by_gene, self.by_type, self.by_class):
            self._ways.addButton(button)
        ways = QHBoxLayout()
        ways.addWidget(QLabel("Show"))
        ways.addWidget(self.by_gene)
        ways.addWidget(self.by_type)
        ways.addWidget(self.by_class)
        ways.addStretch()

        self.legend = TypeLegend()
        self.margin = DecimalBox()
        self.margin.setDecimals(3)
        self.margin.setRange(0.0, 2.0)
        self.margin.setSingleStep(0.01)
        self.margin.setKeyboardTracking(False)
        self.margin.setToolTip(MARGIN_TIP)
        label = QLabel("Grey below a margin of")
        label.setToolTip(MARGIN_TIP)
        margin = QHBoxLayout()
        margin.addWidget(label)
        margin.addWidget(self.margin)
        margin.addStretch()
        self.honesty = WrappedLabel()
        self.honesty.setStyleSheet("color: #9aa0a6;")
        self._key = QWidget()
        key = QVBoxLayout(self._key)
        key.setContentsMargins(0, 0, 0, 0)
        key.setSpacing(6)
        key.addWidget(self.legend)
        key.addLayout(margin)
        key.addWidget(self.honesty)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(ways)
        layout.addWidget(self._key)
        self._key.hide()
        # Of two buttons that change at once, the one that is on tells.
        for button in (self.by_gene, self.by_type, self.by_class):
            button.toggled.connect(self._on_toggled)
        self.margin.valueChanged.connect(self._on_margin)
        self.set_model(None)

    @property
    def least_margin(self) -> float | None:
        """Of cells that are shown by their type; None where genes are shown."""
        return self.margin.value() if self.by_type.isChecked() else None

    def set_model(self, model: Model | None) -> None:
        """Offer the types of a model's bank, where it has one; without a model, genes are shown."""
        bank = None if model is None else model.bank
        known = bank is not None and bank.knows_types
        if (self.by_type.isChecked() and not known) or model is None:
            blocked = [QSignalBlocker(b) for b in (self.by_gene, self.by_type, self.by_class)]
            self.by_gene.setChecked(True)
            del blocked
            self._key.hide()
        if bank is not None:
            self.honesty.setText(
                f"Nearest type of the reference bank {bank.title} ({len(bank.bank):,} measured "
                f"cells), from the picture alone; not validated. {RESEARCH_USE}"
            )
        self.by_type.setVisible(known)
        self.setVisible(model is not None)

    def set_key(self, key: TypeKey) -> None:
        """Tell the cells in view."""
        self.legend.set_key(key)

    def _on_toggled(self, on: bool) -> None:
        if on:
            self._key.setVisible(self.by_type.isChecked())
            self.changed.emit()

    def _on_margin(self) -> None:
        self.changed.emit()


class TypeLegend(QWidget):
    """A line for each colour: what it stands for, and how many cells in view have it."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 1)
        self._lines: list[tuple[QFrame, QLabel, QLabel]] = []
        for row in range(LABELS - 1):
            swatch, name, count = QFrame(), QLabel(), QLabel()
            swatch.setFixedSize(_SWATCH_PX, _SWATCH_PX)
            # A long name is cut at its end, where the tool tip has it whole.
            name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for column, part in enumerate((swatch, name, count)):
                self._grid.addWidget(part, row, column)
            self._lines.append((swatch, name, count))
        self.note = WrappedLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._grid)
        layout.addWidget(self.note)
        self.set_key(TypeKey())

    def set_key(self, key: TypeKey) -> None:
        """Show another legend; the first line is the most common type in view."""
        colours = colours_by_label()
        for k, (swatch, name, count) in enumerate(self._lines):
            there = k < len(key.rows)
            for part in (swatch, name, count):
                part.setVisible(there)
            if there:
                row = key.rows[k]
                red, green, blue = colours[row.label]
                swatch.setStyleSheet(
                    f"background: rgb({red}, {green}, {blue}); border: 1px solid #d0d4d8; "
                    f"border-radius: 3px;"
                )
                name.setText(row.name)
                name.setToolTip(_tip(row, key))
                count.setText(_share(row.count, key.cells))
        self.note.setText(_note(key))
        self.setAccessibleDescription(self.text())

    def text(self) -> str:
        """What the legend says, in words."""
        lines = [
            f"{name.text()}: {count.text()}"
            for _, name, count in self._lines
            if not name.isHidden()
        ]
        return "; ".join([*lines, self.note.text()])


def _share(count: int, cells: int) -> str:
    return f"{count:,}  ({100 * count / cells:.0f} %)" if cells else f"{count:,}"


def _tip(row: KeyRow, key: TypeKey) -> str:
    if row.label != OTHER:
        return row.name
    return "\n".join(f"{name}: {count:,}" for name, count in key.others)


def _note(key: TypeKey) -> str:
    told = [f"{key.cells:,} nuclei in view" if key.cells else "No typed nucleus is in view"]
    if key.unlike:
        told.append(f"{key.unlike:,} of them look unlike the training cells")
    if key.unscored:
        told.append(f"{key.unscored:,} more are not scored and not counted")
    if key.waiting:
        told.append(f"{key.waiting:,} wait for their type")
    if key.others:
        told.append("point at “other types” for their names, click a nucleus for its own")
    return "; ".join(told) + "."

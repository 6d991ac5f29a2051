"""Three cut-offs in sight of the values, with their source; expression or classes."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.decimal_box import DecimalBox
from napari_past.plugin.histogram_box import HistogramBox
from napari_past.plugin.legend import Legend
from napari_past.plugin.moved_cutoffs import decimals_of, moved, typed
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.stain import CLASS_NAMES
from napari_past.types import Cutoffs


class CutoffBox(QWidget):
    """Shows the cut-offs of a gene and takes others from the user, by hand or by number."""

    changed = Signal()
    """Other cut-offs are set, or another way of showing."""
    dragged = Signal()
    """A cut-off is on its way; `changed` follows when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self._preset: Cutoffs | None = None
        self._current: Cutoffs | None = None
        self._fixed = False
        self._decimals = 2
        self.cells = HistogramBox()
        self.spins = [DecimalBox() for _ in CLASS_NAMES[1:]]
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        for column, (name, spin) in enumerate(zip(CLASS_NAMES[1:], self.spins, strict=True)):
            spin.setRange(-1000.0, 1000.0)
            spin.setKeyboardTracking(False)
            spin.setToolTip(f"A cell with at least this value counts as {name} or higher.")
            grid.addWidget(QLabel(f"{name} from"), 0, column)
            grid.addWidget(spin, 1, column)
            spin.valueChanged.connect(partial(self._on_typed, column))
        self.source = WrappedLabel()
        self.reset = QPushButton("Reset to card")
        self.copy = QPushButton("Copy from …")
        self.copy.setToolTip("Cut-offs that you set for this gene and model on another slide.")
        self.as_expression = QRadioButton("Expression")
        self.as_classes = QRadioButton("Classes 0 to 3+")
        self.as_expression.setChecked(True)
        self._ways = QButtonGroup(self)
        self._ways.addButton(self.as_expression)
        self._ways.addButton(self.as_classes)
        self.legend = Legend()
        show = QHBoxLayout()
        show.addWidget(QLabel("Show"))
        show.addWidget(self.as_expression)
        show.addWidget(self.as_classes)
        show.addStretch()
        source = QGridLayout()
        # Two lines at least: what lies below must not jump when a line is dragged.
        source.addWidget(QLabel("\n"), 0, 0)
        source.addWidget(self.source, 0, 0, Qt.AlignmentFlag.AlignTop)
        others = QHBoxLayout()
        others.addWidget(self.reset)
        others.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.cells)
        layout.addLayout(grid)
        layout.addLayout(source)
        layout.addLayout(others)
        layout.addLayout(show)
        layout.addWidget(self.legend)
        self.reset.clicked.connect(self._on_reset)
        self.as_classes.toggled.connect(self.changed)
        histogram = self.cells.histogram
        histogram.moved.connect(self._on_moved)
        histogram.released.connect(self.changed)
        histogram.reset_asked.connect(self._on_reset)

    @property
    def cutoffs(self) -> Cutoffs | None:
        """The three limits in use; None where there are none."""
        return self._current

    @property
    def preset(self) -> Cutoffs | None:
        """Those of the model's card."""
        return self._preset

    @property
    def classes_shown(self) -> bool:
        return self.as_classes.isChecked() and self._current is not None

    def set_cutoffs(
        self, preset: Cutoffs | None, chosen: Cutoffs | None, why_not: str, fixed: bool = False
    ) -> None:
        """Show a gene's cut-offs.

        Parameters
        ----------
        preset
            Those of the model's card.
        chosen
            Those in use; the preset unless the user set others.
        why_not
            Told in place of the source where there are none.
        fixed
            The values are classes, which have no other cut-offs: nothing moves them.
        """
        self._preset, self._current, self._fixed = preset, chosen, fixed
        scored = chosen is not None
        for widget in (*self.spins, self.copy):
            widget.setEnabled(scored and not fixed)
        self.as_classes.setEnabled(scored)
        self.cells.histogram.set_fixed(fixed)
        if not scored:
            self.as_expression.setChecked(True)
        self.cells.histogram.let_go()
        self._take_scale()
        self._show(chosen, why_not)

    def take(self, cutoffs: Cutoffs) -> None:
        """Use these, as if the user had set them."""
        self._current = cutoffs
        self._show(cutoffs, "")
        self.changed.emit()

    def _take_scale(self) -> None:
        """Numbers and steps as fine as the gene's values need them."""
        whose = self._preset or self._current
        if whose is None:
            return
        self._decimals = decimals_of(whose)
        for spin in self.spins:
            with QSignalBlocker(spin):
                spin.setDecimals(self._decimals)
                spin.setSingleStep(5 * 10.0**-self._decimals)

    def _show(self, chosen: Cutoffs | None, why_not: str) -> None:
        for k, spin in enumerate(self.spins):
            with QSignalBlocker(spin):
                spin.setValue(0.0 if chosen is None else chosen.values[k])
        told = why_not if chosen is None else f"From: {chosen.source}{self._default(chosen)}"
        if told != self.source.text():
            self.source.setText(told)
        self.reset.setEnabled(self._preset is not None and chosen != self._preset)
        self.cells.histogram.set_cutoffs(chosen)

    def _default(self, chosen: Cutoffs) -> str:
        """The cut-offs that a reset brings back, in words, or why there are no others; empty where
        they are in use."""
        if self._fixed:
            return "; classes have no other cut-offs"
        if self._preset is None or chosen == self._preset:
            return ""
        values = " / ".join(f"{value:.{self._decimals}f}" for value in self._preset.values)
        return f"; default {values}"

    def _on_moved(self, line: int, value: float) -> None:
        current = self._current
        if current is None or (wanted := moved(current, line, value, self._decimals)) == current:
            return
        self._current = wanted
        self._show(wanted, "")
        # Who moves the limits of classes wants to see them follow.
        with QSignalBlocker(self.as_classes):
            self.as_classes.setChecked(True)
        self.dragged.emit()

    def _on_typed(self, line: int, value: float) -> None:
        if self._current is None:
            return
        try:
            wanted = typed(self._current, line, round(value, self._decimals))
        except ValueError:
            self.source.setText("The three cut-offs must ascend; the last valid ones stay in use.")
            return
        self.take(wanted)

    def _on_reset(self) -> None:
        if self._preset is not None and self._current != self._preset:
            self.take(self._preset)

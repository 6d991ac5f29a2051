"""Three cut-offs with their source, and the choice between expression and classes."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.legend import Legend
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.stain import CLASS_NAMES
from napari_past.types import Cutoffs

GIVEN = "set by you"


class CutoffBox(QWidget):
    """Emits `changed` when a cut-off or the way of showing was changed by the user."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._preset: Cutoffs | None = None
        self._current: Cutoffs | None = None
        self.spins = [QDoubleSpinBox() for _ in CLASS_NAMES[1:]]
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        for column, (name, spin) in enumerate(zip(CLASS_NAMES[1:], self.spins, strict=True)):
            spin.setDecimals(3)
            spin.setRange(-1000.0, 1000.0)
            spin.setSingleStep(0.05)
            spin.setKeyboardTracking(False)
            spin.setToolTip(f"A cell with at least this value counts as {name} or higher.")
            grid.addWidget(QLabel(f"{name} from"), 0, column)
            grid.addWidget(spin, 1, column)
            spin.valueChanged.connect(self._on_edited)
        self.source = WrappedLabel()
        self.reset = QPushButton("Reset to card")
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
        source = QHBoxLayout()
        source.addWidget(self.source, 1)
        source.addWidget(self.reset)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(grid)
        layout.addLayout(source)
        layout.addLayout(show)
        layout.addWidget(self.legend)
        self.reset.clicked.connect(self._on_reset)
        self.as_classes.toggled.connect(self.changed)

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

    def set_cutoffs(self, preset: Cutoffs | None, chosen: Cutoffs | None, why_not: str) -> None:
        """Show a gene's cut-offs.

        Parameters
        ----------
        preset
            Those of the model's card.
        chosen
            Those in use; the preset unless the user set others.
        why_not
            Told in place of the source where there are none.
        """
        self._preset, self._current = preset, chosen
        scored = chosen is not None
        for spin in (*self.spins, self.as_classes):
            spin.setEnabled(scored)
        if not scored:
            self.as_expression.setChecked(True)
        self._show(chosen, why_not)

    def _show(self, chosen: Cutoffs | None, why_not: str) -> None:
        for k, spin in enumerate(self.spins):
            with QSignalBlocker(spin):
                spin.setValue(0.0 if chosen is None else chosen.values[k])
        self.source.setText(why_not if chosen is None else f"From: {chosen.source}")
        self.reset.setVisible(chosen is not None and chosen != self._preset)

    def _on_edited(self) -> None:
        try:
            weak, moderate, strong = (round(spin.value(), 3) for spin in self.spins)
            chosen = Cutoffs(weak, moderate, strong, GIVEN)
        except ValueError:
            self.source.setText("The three cut-offs must ascend; the last valid ones stay in use.")
            return
        self._current = chosen
        self._show(chosen, "")
        self.changed.emit()

    def _on_reset(self) -> None:
        self._current = self._preset
        self._show(self._preset, "")
        self.changed.emit()

"""Which slide is stained, its pixel size, and the box that asks for it where the file has none."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.decimal_box import DecimalBox
from napari_past.plugin.slide_kind import KINDS
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.slide.units import LARGEST_MPP, SMALLEST_MPP

NO_SLIDE = "Open a slide: drag it into the window, or open an address."
KIND_TIP = (
    "On H&E a model predicts the stain. On IHC the brown of each cell is measured: (nuclear) finds "
    "blue and brown nuclei, as of Ki-67 and ER, (membrane) nuclei by their blue alone, as of HER2 "
    "and PD-L1."
)
ASK_MPP = "This file does not tell its pixel size. What is it? (0.25 is usual for 40x, 0.5 for 20x)"


class SlideBox(QWidget):
    """Emits `chosen` with a layer's name, `mpp_given` with µm/px that the user typed, and
    `kind_chosen` with the kind that the user gives the slide."""

    chosen = Signal(str)
    mpp_given = Signal(float)
    kind_chosen = Signal(str)
    image_chosen = Signal(str)
    """Another image of the slide's file is wanted."""
    address_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.box = QComboBox()
        self.box.setMinimumContentsLength(16)
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.facts = WrappedLabel(NO_SLIDE)
        self.question = WrappedLabel(ASK_MPP)
        self.mpp = DecimalBox()
        self.mpp.setDecimals(4)
        self.mpp.setRange(SMALLEST_MPP, LARGEST_MPP)
        self.mpp.setSingleStep(0.05)
        self.mpp.setValue(SMALLEST_MPP)
        self.mpp.setSpecialValueText("µm/px")
        self.apply = QPushButton("Set size")
        self.apply.setEnabled(False)
        self.damage = WrappedLabel()
        self.damage.setStyleSheet("color: #f0b94a;")
        self.damage.hide()
        self.address = QPushButton("Open address…")
        self.address.setToolTip("A slide on a server: https://… or s3://…")
        self.images = QComboBox()
        self.images.setToolTip("The images that this file holds; a label is not among them.")
        self.images.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._images = QWidget()
        image = QHBoxLayout(self._images)
        image.setContentsMargins(0, 0, 0, 0)
        image.addWidget(QLabel("Image"))
        image.addWidget(self.images, 1)
        self._images.hide()
        self._ask = QWidget()
        row = QHBoxLayout()
        row.addWidget(self.mpp, 1)
        row.addWidget(self.apply)
        asking = QVBoxLayout(self._ask)
        asking.setContentsMargins(0, 0, 0, 0)
        asking.addWidget(self.question)
        asking.addLayout(row)
        self.kind = QComboBox()
        self.kind.addItems(KINDS)
        self.kind.setToolTip(KIND_TIP)
        self.suggestion = WrappedLabel()
        self.suggestion.setStyleSheet("color: #f0b94a;")
        self.switch = QPushButton()
        self._kind = QWidget()
        kind = QHBoxLayout()
        kind.addWidget(QLabel("Kind"))
        kind.addWidget(self.kind, 1)
        kinds = QVBoxLayout(self._kind)
        kinds.setContentsMargins(0, 0, 0, 0)
        kinds.setSpacing(4)
        kinds.addLayout(kind)
        kinds.addWidget(self.suggestion)
        kinds.addWidget(self.switch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        chosen = QHBoxLayout()
        chosen.addWidget(self.box, 1)
        chosen.addWidget(self.address)
        layout.addLayout(chosen)
        for widget in (self._images, self.facts, self.damage, self._ask, self._kind):
            layout.addWidget(widget)
        self._suggested = ""
        self._kind.hide()
        self._ask.hide()
        self.box.hide()
        self.box.currentTextChanged.connect(self.chosen)
        self.images.activated.connect(lambda _: self.image_chosen.emit(self.images.currentText()))
        self.address.clicked.connect(self.address_wanted)
        self.apply.clicked.connect(self._on_apply)
        self.kind.activated.connect(lambda _: self.kind_chosen.emit(self.kind.currentText()))
        self.switch.clicked.connect(lambda: self.kind_chosen.emit(self._suggested))
        # Never guess: the box is empty until a number is typed.
        self.mpp.valueChanged.connect(lambda v: self.apply.setEnabled(v > SMALLEST_MPP))

    @property
    def asking(self) -> bool:
        """Whether the box asks for the pixel size."""
        return not self._ask.isHidden()

    def set_slides(self, names: list[str], current: str | None) -> None:
        """The slide layers there are."""
        with QSignalBlocker(self.box):
            self.box.clear()
            self.box.addItems(names)
            if current in names:
                self.box.setCurrentText(current)
        self.box.setVisible(bool(names))
        if not names:
            self.facts.setText(NO_SLIDE)
            self._ask.hide()

    def ask(self, asking: bool) -> None:
        """Ask for the pixel size, or stop asking."""
        self._ask.setVisible(asking)
        if asking:
            self.facts.setText("Shown in pixels.")

    def set_kind(self, kind: str, look: str = "", suggested: str = "") -> None:
        """What the slide is analysed as; empty hides the choice while there is no slide.

        Parameters
        ----------
        look
            What the slide looks like, as "looks like IHC (brown on blue)".
        suggested
            Another kind that this speaks for; empty where none does.
        """
        self._kind.setVisible(bool(kind))
        with QSignalBlocker(self.kind):
            self.kind.setCurrentText(kind)
        self._suggested = suggested
        self.suggestion.setText(f"This slide {look}.")
        self.switch.setText(f"Analyse it as {suggested}")
        self.suggestion.setVisible(bool(suggested))
        self.switch.setVisible(bool(suggested))

    def set_images(self, names: Sequence[str], current: str | None) -> None:
        """The images of the slide's file, and the one in view; one alone is no choice.

        Parameters
        ----------
        current
            None for the one that is taken where nobody chooses.
        """
        with QSignalBlocker(self.images):
            self.images.clear()
            self.images.addItems(list(names))
            self.images.setCurrentIndex(-1 if current is None else self.images.findText(current))
        self._images.setVisible(len(names) > 1)

    def tell_damage(self, text: str) -> None:
        """What of the slide cannot be read; empty where all can."""
        self.damage.setText(text)
        self.damage.setVisible(bool(text))

    def set_facts(self, text: str) -> None:
        self.facts.setText(text)

    def _on_apply(self) -> None:
        self.mpp_given.emit(self.mpp.value())

"""Saves the classifier under a name, with its card in sight."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_past.errors import PastError
from napari_past.model.classifier import (
    SUFFIX,
    CellClassifier,
    ClassifierCard,
    write_classifier,
)
from napari_past.plugin.save_field import SaveField
from napari_past.plugin.telling_dialog import TellingDialog
from napari_past.plugin.wrapped_label import WrappedLabel

WIDTH_PX = 520


class SaveDialog(TellingDialog):
    """Emits `saved` with the path."""

    saved = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Save classifier")
        self._classifier: CellClassifier | None = None
        self.name = QLineEdit()
        self.target = SaveField("Save classifier", f"Cell classes (*{SUFFIX})")
        self.card = WrappedLabel()
        self.save = QPushButton("Save")
        self.close_button = QPushButton("Close")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Name", self.name)
        form.addRow("File", self.target)
        form.addRow("Its card", self.card)
        buttons = QHBoxLayout()
        buttons.addStretch()
        for button in (self.save, self.close_button):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.message)
        layout.addStretch()
        layout.addLayout(buttons)
        self.resize(WIDTH_PX, self.sizeHint().height())
        self.save.clicked.connect(self._on_save)
        self.close_button.clicked.connect(self.hide)

    def offer(self, classifier: CellClassifier, folder: Path) -> None:
        """Come up for a classifier.

        Parameters
        ----------
        folder
            Where its file is proposed to go.
        """
        self._classifier = classifier
        card = classifier.card
        stem = "-".join(card.classes).replace("/", "-").replace(" ", "_").lower()[:60]
        self.name.setText(card.name)
        self.target.set_text(str(folder / f"{stem}{SUFFIX}"))
        self.card.setText(card_text(card))
        self.tell("")
        self.come_up()

    def _on_save(self) -> None:
        if self._classifier is None:
            return
        name = self.name.text().strip()
        if not name:
            self.tell("The classifier has no name; type one, as it is told wherever it is used.")
            return
        if self.target.text and not self.target.text.lower().endswith(".json"):
            # Else it is not known for what it is when it is dropped into the window.
            self.target.edit.setText(f"{self.target.text}{SUFFIX}")
        try:
            path = self.target.target()
            write_classifier(self._classifier.named(name), path)
        except PastError as exc:
            self.tell(str(exc))
            return
        self.target.written(path)
        self.hide()
        self.saved.emit(str(path))


def card_text(card: ClassifierCard) -> str:
    """A card in a few lines."""
    labelled = ", ".join(f"{name} {n:,}" for name, n in card.labelled.items())
    lines = [
        f"Model: {card.model} (SHA-256 {card.model_sha256[:12]}…), no other one",
        f"Labelled cells: {labelled}",
        card.sentence,
    ]
    if card.held_out.f1:
        each = ", ".join(f"{name} {value:.2f}" for name, value in card.held_out.f1.items())
        lines.append(f"Held-out F1: {each}")
    return "\n".join([*lines, card.research_use])

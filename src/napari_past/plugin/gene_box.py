"""The box in which a gene or marker is typed, with what was understood and how far to trust it."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QCompleter, QLineEdit, QVBoxLayout, QWidget

from napari_past.engine import Assay, MeasuredStain, chosen_genes
from napari_past.errors import GeneError
from napari_past.genes import Resolved, markers
from napari_past.model import Reliability
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.stain.measured import COLUMNS, DAB_OF, fits_kind

_BADGE = "border-radius: 4px; padding: 3px 6px; color: {text}; background: {fill};"
GREY_BADGE = _BADGE.format(text="#e8e8e8", fill="#5a5f66")
TRUSTED_BADGE = _BADGE.format(text="#ffffff", fill="#2e6f4f")
MEASURED_BADGE = _BADGE.format(text="#ffffff", fill="#2f5d8a")
BAD_BADGE = _BADGE.format(text="#ffffff", fill="#8a3b12")


class GeneBox(QWidget):
    """Emits `resolved` when another gene or marker is chosen."""

    resolved = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.current: Resolved | None = None
        self._mistyped = False
        self._model: Assay | None = None
        self._predicted = ""
        """What was asked for of the last model."""
        self.box = QComboBox()
        self.box.setEditable(True)
        self.box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.box.setMaxVisibleItems(18)
        self.box.setMinimumContentsLength(12)
        self.box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        edit = QLineEdit()
        edit.setPlaceholderText("Gene or marker, such as ERBB2 or HER2")
        self.box.setLineEdit(edit)
        self.meaning = WrappedLabel()
        self.badge = WrappedLabel()
        self.badge.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.box)
        for label in (self.meaning, self.badge):
            layout.addWidget(label)
        self.box.activated.connect(self._on_entered)
        edit.returnPressed.connect(self._on_entered)
        edit.editingFinished.connect(self._on_entered)

    @property
    def model(self) -> Assay | None:
        """Whose genes and markers are offered."""
        return self._model

    def set_model(self, model: Assay) -> None:
        """Offer the model's genes and markers; the gene stays where the model has it.

        Back from a measured stain it is the one that was asked for before. Nobody knows the marker
        of a measured stain until it is named: it stays from another such slide whose kind fits it,
        else the compartment's density is shown.
        """
        named = isinstance(self._model, MeasuredStain)
        if not named:
            self._predicted = self.box.currentText()
        self._model = model
        panel = panel_names(model)
        with QSignalBlocker(self.box):
            first = next(iter([*panel, *model.genes]), "")
            text = self.box.currentText() or first
            if isinstance(model, MeasuredStain):
                if not (named and _measurable(text, model)):
                    text = first
            elif named:
                text = self._predicted if _known(self._predicted, model) else first
            self.box.clear()
            self.box.addItems(panel)
            self.box.setEditText(text)
        completer = QCompleter(search_names(model), self.box)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setMaxVisibleItems(12)
        self.box.setCompleter(completer)
        completer.activated.connect(self._on_entered)
        self.current = None
        self._on_entered()

    def set_gene(self, name: str) -> None:
        """As if the name were typed."""
        self.box.setEditText(name)
        self._on_entered()

    def tell_badge_again(self) -> None:
        """The model's evidence is another; the gene stays."""
        if self._model is not None and self.current is not None and not self._mistyped:
            self._tell_badge(self.current, self._model)

    def step(self, by: int) -> None:
        """The next or previous of the panel's markers."""
        count = self.box.count()
        if count == 0:
            return
        now = self.box.findText(self.box.currentText(), Qt.MatchFlag.MatchFixedString)
        self.box.setCurrentIndex((now + by) % count if now >= 0 else 0)
        self._on_entered()

    def _on_entered(self) -> None:
        if self._model is None:
            return
        text = self.box.currentText()
        if self.current is not None and text == self.current.name and not self._mistyped:
            return
        try:
            found = self._model.resolve(text)
        except GeneError as exc:
            self.meaning.setText(str(exc))
            self.meaning.setStyleSheet("color: #e07b39;")
            # The badge of the gene that the cells still show must not stand beside another name.
            self._mistyped = True
            still = "no gene" if self.current is None else self.current.label
            self.badge.setText(f"still shown: {still}")
            self.badge.setStyleSheet(GREY_BADGE)
            return
        self._mistyped = False
        self.current = found
        self.meaning.setText(f"→ {found.label}" + (f"\n{found.note}" if found.note else ""))
        self.meaning.setStyleSheet("")
        self._tell_badge(found, self._model)
        self.resolved.emit()

    def _tell_badge(self, found: Resolved, model: Assay) -> None:
        reliability = weakest([model.reliability(s) for s in found.symbols])
        prefix = f"{reliability.gene}: " if len(found.symbols) > 1 else ""
        self.badge.setText(prefix + reliability.label)
        measured = isinstance(model, MeasuredStain)
        self.badge.setStyleSheet(MEASURED_BADGE if measured else badge_style(reliability))


def badge_style(reliability: Reliability) -> str:
    """Grey without unseen patients, or without r: nothing is promised for a new one. A gene that
    goes against what was measured is not trusted, whoever it was measured on."""
    if not reliability.learnable:
        return BAD_BADGE
    if reliability.grey or reliability.r is None:
        return GREY_BADGE
    return TRUSTED_BADGE if reliability.r > 0 else BAD_BADGE


def weakest(reliabilities: list[Reliability]) -> Reliability:
    """Of a marker's genes the one with the least evidence: the marker is trusted no further."""
    return min(
        reliabilities,
        key=lambda r: (r.learnable, not r.grey, -2.0 if r.r is None else r.r),
    )


def panel_names(model: Assay) -> list[str]:
    """Markers that the model has at least one gene of, by the name pathologists use; of a measured
    stain its density, and all, those first that the slide's kind fits."""
    if isinstance(model, MeasuredStain):
        fitting = [m.name for m in markers() if fits_kind(m, model.compartment)]
        density = DAB_OF[model.compartment]
        return list(dict.fromkeys([density, *fitting, *(m.name for m in markers())]))
    have = set(chosen_genes(model, None))
    return [m.name for m in markers() if have.intersection(m.genes)]


def _known(text: str, model: Assay) -> bool:
    """Whether a name means something to a model."""
    try:
        model.resolve(text)
    except GeneError:
        return False
    return True


def _measurable(text: str, stain: MeasuredStain) -> bool:
    """Whether a name means something on this stain that its kind fits."""
    try:
        marker = stain.resolve(text).marker
    except GeneError:
        return False
    return marker is None or fits_kind(marker, stain.compartment)


def search_names(model: Assay) -> list[str]:
    """Everything that completes: panel markers, their other spellings, the model's genes."""
    if isinstance(model, MeasuredStain):
        spellings = [alias for marker in markers() for alias in marker.aliases]
        return list(dict.fromkeys([*panel_names(model), *spellings, *COLUMNS]))
    have = set(model.genes)
    known = [m for m in markers() if have.intersection(m.genes)]
    names = [m.name for m in known] + [alias for m in known for alias in m.aliases]
    return list(dict.fromkeys([*names, *sorted(model.genes)]))

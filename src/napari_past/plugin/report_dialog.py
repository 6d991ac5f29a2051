"""The dialog that asks for a report: of which case, with which markers, and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_past.plugin.report_file import ReportRequest
from napari_past.plugin.save_field import SaveField
from napari_past.plugin.telling_dialog import TellingDialog
from napari_past.plugin.wrapped_label import WrappedLabel
from napari_past.report import MOST_MARKERS
from napari_past.report.case_code import MOST_LETTERS
from napari_past.types import RESEARCH_USE

WIDTH_PX = 560
MARKER_LINES = 5
NO_SLIDE = "Choose a slide first; its cells must be there."
INTRODUCTION = (
    "One page for each slide: pictures, scores by region, cut-offs, model and evidence. Type the "
    "case code from the slide's label: it stands beside the fingerprint of the file, so that a "
    "page is not laid to another case."
)


class ReportDialog(TellingDialog):
    """Emits `wanted` when a report is to be written, `cancelled` when it is not any more, and
    `code_typed` with the case code of the slide."""

    wanted = Signal()
    cancelled = Signal()
    code_typed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Report")
        self._written: Path | None = None
        self._has_slide = self._running = False
        self.slide = WrappedLabel()
        self.case = QLineEdit()
        self.case.setMaxLength(2 * MOST_LETTERS)
        self.case.setPlaceholderText("As on the slide's label; kept with this slide until you quit")
        self.markers = QListWidget()
        self.markers.setToolTip(
            f"Markers that you looked at or set cut-offs for; {MOST_MARKERS} fit on a page."
        )
        self.out = SaveField("Report", "PDF (*.pdf);;HTML (*.html)")
        self.progress = QProgressBar()
        self.write = QPushButton("Write")
        self.stop = QPushButton("Cancel")
        self.show_file = QPushButton("Open")
        self.close_button = QPushButton("Close")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, field in (
            ("Slide", self.slide), ("Case code", self.case), ("Markers", self.markers),
            ("File", self.out),
        ):  # fmt: skip
            form.addRow(label, field)
        buttons = QHBoxLayout()
        buttons.addStretch()
        for button in (self.write, self.stop, self.show_file, self.close_button):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        self.notice = WrappedLabel(RESEARCH_USE)
        self.notice.setStyleSheet("color: #9aa0a6;")
        layout = QVBoxLayout(self)
        layout.addWidget(WrappedLabel(INTRODUCTION))
        layout.addLayout(form)
        layout.addWidget(self.message)
        layout.addWidget(self.progress)
        layout.addWidget(self.notice)
        layout.addStretch()
        layout.addLayout(buttons)
        line = self.markers.fontMetrics().lineSpacing() + 6
        self.markers.setFixedHeight(MARKER_LINES * line)
        self.resize(WIDTH_PX, self.sizeHint().height())
        self.write.clicked.connect(self.wanted)
        self.stop.clicked.connect(self.cancelled)
        self.show_file.clicked.connect(self._on_open)
        self.close_button.clicked.connect(self.hide)
        self.case.textEdited.connect(self.code_typed)
        self.set_slide("", "", "", "")

    def set_slide(
        self,
        name: str,
        fingerprint: str,
        code: str,
        proposed: str,
        research_use: str = RESEARCH_USE,
    ) -> None:
        """Another slide, or none: its own case code, never that of the slide before.

        Parameters
        ----------
        name
            Empty where there is no slide with cells.
        proposed
            A path for its report.
        research_use
            The sentence of what gives the values.
        """
        self._has_slide, self._written = bool(name), None
        shown = " ".join(fingerprint[i : i + 4] for i in range(0, 16, 4))
        self.slide.setText(f"{name} · {shown}" if name else NO_SLIDE)
        self.case.setText(code)
        self.out.set_text(proposed)
        self.notice.setText(research_use)
        self.tell("")
        self._arrange()

    def set_markers(self, markers: Sequence[tuple[str, str]], ticked: Sequence[str]) -> None:
        """The markers to choose from, (name, label), and those that are ticked."""
        self.markers.clear()
        for name, label in markers:
            item = QListWidgetItem(label)
            item.setData(Qt.ItemDataRole.UserRole, name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            state = Qt.CheckState.Checked if name in ticked else Qt.CheckState.Unchecked
            item.setCheckState(state)
            self.markers.addItem(item)

    @property
    def ticked(self) -> tuple[str, ...]:
        """Names of the markers that are chosen."""
        items = [self.markers.item(i) for i in range(self.markers.count())]
        return tuple(
            str(item.data(Qt.ItemDataRole.UserRole))
            for item in items
            if item.checkState() == Qt.CheckState.Checked
        )

    def request(self) -> ReportRequest:
        """What the fields say, checked.

        Raises
        ------
        PastError
            A case code that cannot be printed, no marker, or a file that cannot be written.
        """
        return ReportRequest(self.case.text(), self.ticked, self.out.target()).checked()

    def working(self, done: int, total: int, what: str) -> None:
        """The report is being made."""
        self._running, self._written = True, None
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.tell(f"{what} …")
        self._arrange()

    def ended(self, told: str, written: Path | None = None) -> None:
        """The report was written, or not, and why."""
        self._running, self._written = False, written
        if written is not None:
            self.out.written(written)
        self.tell(told)
        self._arrange()

    def _on_open(self) -> None:
        if self._written is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.absolute())))

    def _arrange(self) -> None:
        self.write.setEnabled(self._has_slide and not self._running)
        for field in (self.case, self.markers, self.out):
            field.setEnabled(self._has_slide and not self._running)
        self.stop.setVisible(self._running)
        self.show_file.setVisible(self._written is not None)
        self.progress.setVisible(self._running)

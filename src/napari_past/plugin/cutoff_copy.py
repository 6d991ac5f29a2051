"""Cut-offs that were set on other slides, offered for this one."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, QPoint
from qtpy.QtWidgets import QMenu

from napari_past.plugin.annotating import Annotating
from napari_past.plugin.annotations import KeptCutoffs
from napari_past.plugin.cutoff_box import CutoffBox
from napari_past.plugin.desk import Desk
from napari_past.plugin.latest import Latest
from napari_past.plugin.session import Session
from napari_past.types import Cutoffs


class CutoffCopy(QObject):
    """Fills the menu of "Copy from …": files of other slides are read beside the GUI thread."""

    def __init__(self, box: CutoffBox, annotating: Annotating, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._box, self._annotating, self._desk = box, annotating, desk
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_found)
        self.menu = QMenu(box)
        """The slides that were found last."""
        box.copy.clicked.connect(self._on_asked)

    @property
    def busy(self) -> bool:
        return self._latest.busy

    def _on_asked(self) -> None:
        session, shown = self._desk.session, self._desk.shown
        if session is not None and shown is not None:
            read = self._annotating.kept_elsewhere(session.model.name, shown.resolved)
            self._latest.ask(lambda: (session, shown.first.name, read()))

    def _on_found(self, outcome: tuple[Session, str, list[KeptCutoffs]]) -> None:
        session, gene, found = outcome
        if not self._in_view(session, gene):
            return
        self.menu.clear()
        for kept in found:
            values = " / ".join(f"{value:.4g}" for value in kept.cutoffs.values)
            action = self.menu.addAction(f"{kept.slide}:  {values}")
            action.triggered.connect(partial(self._take, session, gene, kept))
        if not found:
            told = f"You set no cut-offs of {gene} with {session.model.name} on another slide"
            self.menu.addAction(told).setEnabled(False)
        self.menu.popup(self._box.copy.mapToGlobal(QPoint(0, self._box.copy.height())))

    def _take(self, session: Session, gene: str, kept: KeptCutoffs, checked: bool = False) -> None:
        if self._in_view(session, gene):
            self._box.take(Cutoffs(*kept.cutoffs.values, f"copied from {kept.slide}"))

    def _in_view(self, session: Session, gene: str) -> bool:
        """Whether slide, model and gene are still those that were asked for."""
        shown = self._desk.shown
        return session is self._desk.session and shown is not None and shown.first.name == gene

"""What the colours of the cells show: one gene or two, cell types, or the user's classes."""

from __future__ import annotations

from dataclasses import replace

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_past.engine import chosen_cutoffs
from napari_past.errors import GeneError, MissingCutoffs
from napari_past.genes import Resolved
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.cell_types import Typing
from napari_past.plugin.classing.classed import ClassedCells
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.classing.words import UNCERTAIN
from napari_past.plugin.desk import Desk
from napari_past.plugin.looking_up import LookingUp
from napari_past.plugin.panel import Panel
from napari_past.plugin.staining import staining
from napari_past.plugin.unscored import Unscored
from napari_past.stain.measured import has_classes

CLASSES_LAYER = "Cell classes"
LIMITS_HOLD = 2
"""Automatic limits are taken anew when there are so many times the cells they came from."""


class Colouring(QObject):
    """Keeps a view in the colours that the panel asks for, and has cells looked up for them."""

    changed = Signal()
    """Other colours are shown, or more cells."""
    stepped = Signal()
    """The classes follow a cut-off that is on its way; `changed` comes when it is let go."""

    def __init__(
        self,
        panel: Panel,
        annotating: Annotating,
        unscored: Unscored,
        probing: Probing,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._panel = panel
        self._annotating = annotating
        self._unscored, self._probing, self._desk = unscored, probing, desk
        self._limits_of = 0
        """Cells that there were when the limits of the colours were taken."""
        self.why_not = ""
        """Why the gene has no scores; empty where it has."""
        self._unkept: tuple[str, Resolved] | None = None
        """Model and gene whose cut-off is on its way."""
        self._classified: tuple[ClassedCells, int] | None = None
        """The classes that were drawn last, and of how many cells."""
        self.looking_up = LookingUp(self)
        self.looking_up.arrived.connect(self.grow)
        self.looking_up.failed.connect(self._on_failed)
        panel.gene.resolved.connect(self._on_gene)
        panel.second.resolved.connect(self._on_asked)
        panel.compare.toggled.connect(self._on_asked)
        panel.look.changed.connect(self.show)
        panel.cutoffs.changed.connect(self._on_cutoffs)
        panel.cutoffs.dragged.connect(self._on_dragged)
        panel.types.changed.connect(self._on_asked)
        panel.classes.probability_changed.connect(self.show)
        probing.changed.connect(self._on_classified)
        unscored.changed.connect(self._tell_types)

    def choose(self) -> None:
        """Another gene or marker, or the first one of these cells."""
        gene, session = self._panel.gene.current, self._desk.session
        if session is None:
            return
        if gene is None:
            self.show()
            return
        preset, self.why_not, self._unkept = None, "", None
        try:
            gene.require_scorable()
            preset = chosen_cutoffs(session.model, gene)
        except (GeneError, MissingCutoffs) as exc:
            self.why_not = str(exc)
        chosen = self._annotating.cutoffs(session.model.name, gene) or preset
        fixed = gene.measured and has_classes(gene.symbols[0])
        self._panel.cutoffs.set_cutoffs(preset, chosen, self.why_not, fixed)
        self._panel.look.forget_limits()
        self.go_on()
        self.show()

    def go_on(self) -> None:
        """Look up what is to be shown, also where the user stopped it."""
        session = self._desk.session
        if session is not None:
            self.looking_up.want(session.table, self._symbols if self._by_gene else ())

    def forget(self) -> None:
        """There are no cells to colour."""
        self._keep()
        self.looking_up.want(None)

    def close(self) -> None:
        """Look nothing up any more."""
        self.looking_up.close()

    def show(self) -> None:
        """The colours that are asked for, of all cells that have a value."""
        # Where all cells are looked up the values come within a moment.
        self._show(patient=True)

    def grow(self) -> None:
        """Show what came since: cells, types, values."""
        view, session = self._desk.view, self._desk.session
        if view is None or session is None:
            return
        n = session.table.ready(self._symbols)
        shown = view.shown if view.table is session.table else None
        if shown is not None and self._is_asked_for(shown.name) and self._limits_hold(n):
            view.grow()
            self._tell_types()
            self.changed.emit()
        else:
            self.show()

    def follow_camera(self) -> None:
        """Draw what came into view, and tell its types."""
        view = self._desk.view
        if view is not None:
            view.follow_camera()
            self._tell_types()

    @property
    def _by_gene(self) -> bool:
        return bool(self._panel.types.by_gene.isChecked())

    @property
    def _typing(self) -> Typing | None:
        """How cells are shown by type or class; None where they are by gene."""
        types, session = self._panel.types, self._desk.session
        if types.by_class.isChecked():
            least = self._panel.classes.least_probability
            return Typing(self._probing, least, UNCERTAIN, CLASSES_LAYER, fixed=True)
        if types.least_margin is None or session is None:
            return None
        return Typing(session.table, types.least_margin)

    @property
    def _markers(self) -> list[Resolved]:
        """One gene or marker, or two of them."""
        compared = self._panel.second.current if self._panel.compare.isChecked() else None
        return [m for m in (self._panel.gene.current, compared) if m is not None]

    @property
    def _symbols(self) -> list[str]:
        return [symbol for marker in self._markers for symbol in marker.symbols]

    def _is_asked_for(self, name: str) -> bool:
        """Whether what is shown is what the panel says."""
        return name == " | ".join(" + ".join(marker.symbols) for marker in self._markers)

    def _limits_hold(self, n: int) -> bool:
        return n <= LIMITS_HOLD * self._limits_of

    def _show(self, patient: bool) -> None:
        gene, view, session = self._panel.gene.current, self._desk.view, self._desk.session
        if view is None or session is None:
            return
        panel, table = self._panel, session.table
        if gene is None:
            # A model without a read-out has vectors all the same, which tell classes.
            if panel.types.by_class.isChecked():
                view.typing = self._typing
                view.show(table, None)
                self.changed.emit()
            return
        before = view.shown if view.table is table else None
        soon = self.looking_up.busy and self._by_gene and 0 < len(table) == table.found
        if patient and soon and before is not None and not table.ready(self._symbols):
            return
        look = replace(panel.look.look, as_classes=panel.cutoffs.classes_shown)
        compared = self._markers[1] if len(self._markers) > 1 else None
        shown = staining(table, gene, panel.cutoffs.cutoffs, look, compared, before)
        view.typing = self._typing
        view.show(table, shown)
        self._limits_of = len(shown.values)
        panel.cutoffs.legend.set_staining(shown)
        panel.look.set_staining(shown)
        self._tell_types()
        self.changed.emit()

    def _tell_types(self) -> None:
        view, session = self._desk.view, self._desk.session
        by_type = self._panel.types.by_type.isChecked()
        if by_type and view is not None and session is not None:
            self._panel.types.set_key(view.types.key(session.table, self._unscored.used))

    def _on_classified(self) -> None:
        """Other classes of the cells, or classes of more of them."""
        view, session = self._desk.view, self._desk.session
        if view is not None and session is not None and self._panel.types.by_class.isChecked():
            # Other evidence, or labels that are not fitted yet, change no colour.
            now = (self._probing.cells, len(self._probing.cells))
            if now != self._classified:
                self._classified = now
                view.typing = self._typing
                view.follow_camera()

    def _on_cutoffs(self) -> None:
        gene, chosen = self._panel.gene.current, self._panel.cutoffs.cutoffs
        session = self._desk.session
        if gene is not None and chosen is not None and session is not None:
            kept = None if chosen == self._panel.cutoffs.preset else chosen
            self._annotating.set_cutoffs(session.model.name, gene, kept)
        self._unkept = None
        self.show()

    def _on_dragged(self) -> None:
        """One step of many: only what is seen follows, nothing is kept yet."""
        view, session = self._desk.view, self._desk.session
        shown = self._desk.shown
        if view is None or session is None or shown is None or not self._is_asked_for(shown.name):
            return
        panel = self._panel
        self._unkept = (session.model.name, shown.resolved)
        classes = panel.cutoffs.classes_shown and shown.second is None
        follows = replace(shown, cutoffs=panel.cutoffs.cutoffs, as_classes=classes)
        view.show(session.table, follows)
        if classes is not shown.as_classes:
            panel.cutoffs.legend.set_staining(follows)
            panel.look.set_staining(follows)
        self.stepped.emit()

    def _on_gene(self) -> None:
        self._keep()
        self.choose()

    def _keep(self) -> None:
        """A cut-off that was on its way when slide or gene were changed stays where it got to."""
        if self._unkept is not None:
            (model, gene), self._unkept = self._unkept, None
            self._annotating.set_cutoffs(model, gene, self._panel.cutoffs.cutoffs)

    def _on_asked(self) -> None:
        """A second gene, or none; types, classes or genes; another margin."""
        self.go_on()
        self.show()

    def _on_failed(self, why: str) -> None:
        show_error(why)
        # Not the former gene's colours under this one's name.
        self._show(patient=False)

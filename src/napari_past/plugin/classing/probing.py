"""The classifier in use, fitted anew as labels come, and the class of each analysed cell."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import numpy as np
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_past.engine import CellTable, TypedCells
from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.model.classifier import (
    CellClassifier,
    HeldOut,
    read_classifier,
)
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.classing.classed import ClassedCells
from napari_past.plugin.classing.labelled_cells import LabelledCells, labelled_cells
from napari_past.plugin.classing.probe_work import (
    Labelled,
    Outcome,
    applied,
    checked,
    fitted,
    get_ready,
)
from napari_past.plugin.classing.suggesting import suggested_cells
from napari_past.plugin.latest import Latest
from napari_past.plugin.session import Session
from napari_past.quality import QualityMask


class Probing(QObject):
    """Labels in, classes out, beside the GUI thread; shown cells keep their class until another
    is there.

    A classifier is fitted to the labels of the slide, or was loaded from a file and then is used
    on every slide that is analysed with its model, until it is put away.
    """

    changed = Signal()
    """Other classes, of more cells, or on other evidence."""

    def __init__(self, annotating: Annotating, parent: QObject) -> None:
        super().__init__(parent)
        self._annotating = annotating
        self._session: Session | None = None
        self._loaded: CellClassifier | None = None
        self._classifier: CellClassifier | None = None
        self._labelled: LabelledCells | None = None
        """Those of the labels that are there now."""
        self._fitted_to: Labelled | None = None
        self.why_not = ""
        """Why nothing is fitted; empty where something is, or nothing is wrong."""
        self.cells = ClassedCells()
        """The class of each cell."""
        self._asked: tuple[LabelledCells, tuple[str, ...]] | None = None
        """Labels and classes that were fitted last, or are being fitted."""
        self._stop, self._stop_checking = threading.Event(), threading.Event()
        self._working = self._validating = False
        """Whether classes, or their evidence, are on their way; not of what was dropped."""
        self._latest, self._checking, self._loading = Latest(self), Latest(self), Latest(self)
        self._latest.ready.connect(self._on_worked)
        self._checking.ready.connect(self._on_checked)

    @property
    def busy(self) -> bool:
        return self._working or self._validating

    @property
    def loaded(self) -> CellClassifier | None:
        """The one that came from a file; None where labels are what counts."""
        return self._loaded

    @property
    def classifier(self) -> CellClassifier | None:
        """The one whose classes the cells have; None where they have none."""
        return self._classifier

    @property
    def labelled(self) -> LabelledCells | None:
        """The labelled cells of the table; None without a slide."""
        return self._labelled

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, whether or not a cell has them."""
        return self._annotating.classes.names if self._loaded is None else self._loaded.names

    @property
    def types(self) -> TypedCells:
        """The class of the first cells of the table, and in place of a margin its probability; by
        the names that there were when they were classified."""
        return self.cells.types

    @property
    def table(self) -> CellTable | None:
        return None if self._session is None else self._session.table

    @property
    def possible(self) -> bool:
        """Whether the cells in view have vectors of a model."""
        return self._session is not None and isinstance(self._session.model, Model)

    def get_ready(self) -> None:
        """Classes are about to be named: load what their first fit needs."""
        self._loading.ask(get_ready)

    def set_session(self, session: Session | None) -> None:
        """Another slide or model, or none; a loaded classifier of another model is put away."""
        self._drop()
        self._session, self._labelled = session, None
        self._forget_cells()
        if self._loaded is not None and session is not None:
            try:
                self._require_model(self._loaded)
            except PastError as exc:
                self._loaded = None
                show_warning(str(exc))
        self.follow()

    def follow(self) -> None:
        """The labels are others, or undone: fit anew where that changes anything."""
        table = self.table
        if table is None or not self.possible:
            self.changed.emit()
            return
        labels = self._annotating.classes
        self._labelled = labelled_cells(labels, table)
        if self._loaded is not None:
            if self._classifier is not self._loaded:
                self._ask(partial(applied, self._loaded, table.vectors, 0))
        elif len(np.unique(self._labelled.code)) < 2:
            self._drop()
            self._forget_cells()
        elif (
            self._asked is None
            or not self._labelled.same_as(self._asked[0])
            or self._asked[1] != labels.names
        ):
            self._fit(self._labelled, table)
        self.changed.emit()

    def grow(self) -> None:
        """More cells are analysed: they get a class; labels that waited for them count."""
        table = self.table
        if table is None or not self.possible:
            return
        labels = self._annotating.classes
        waits = self._labelled is not None and self._labelled.missed
        if self._loaded is None and (waits or labels.areas):
            self.follow()
        if self._classifier is not None and len(table) > len(self.cells) and not self._working:
            work = partial(applied, self._classifier, table.vectors, len(self.cells))
            self._ask(work, anew=False)

    def load(self, path: Path) -> None:
        """Use the classifier in a file; what is wrong with it is told.

        Raises
        ------
        PastError
            It cannot be read, or is of another model.
        """
        classifier = read_classifier(path)
        if self.possible:
            self._require_model(classifier)
        self._loaded = classifier
        self._drop()
        self._forget_cells()
        self.follow()

    def put_away(self) -> None:
        """Go back to the labels of the slide."""
        if self._loaded is not None:
            self._loaded = self._labelled = None
            self._drop()
            self._forget_cells()
            self.follow()

    def suggested(self, mask: QualityMask | None) -> list[int]:
        """Cells worth labelling next, the best first; none where nothing is fitted to labels.

        Parameters
        ----------
        mask
            Cells in it are not suggested.
        """
        table, labelled = self.table, self._labelled
        if table is None or labelled is None or self._fitted_to is None or not len(self.cells):
            return []
        return suggested_cells(self.cells, labelled, table, mask)

    def told(self, cell: int) -> str:
        """A cell's class, as "Tumour, probability 0.83; labelled Stroma"; empty without one."""
        told, labelled = self.cells.told(cell), self._labelled
        if labelled is None or self._loaded is not None:
            return told
        given = labelled.code[labelled.index == cell]
        names = self._annotating.classes.names
        by_user = [f"labelled {names[code]}" for code in given]
        return "; ".join([told, *by_user] if told else by_user)

    def close(self) -> None:
        """Work nothing out any more."""
        self._drop()

    # ---- work ----------------------------------------------------------------------------------

    def _fit(self, cells: LabelledCells, table: CellTable) -> None:
        session = self._session
        assert session is not None
        assert isinstance(session.model, Model)
        labelled = Labelled(
            cells,
            self._annotating.classes.names,
            table.centers_um[cells.index],
            table.vectors,
            session.slide.name,
            session.slide.fingerprint,
            session.model.name,
            session.model.sha256,
        )
        self._ask(partial(fitted, labelled))
        self._asked = (cells, labelled.names)

    def _ask(self, work: partial, anew: bool = True) -> None:
        """Work in place of what goes on; or for more cells, where nothing does."""
        if anew:
            self._drop()
        self._stop, self._working = threading.Event(), True
        self._latest.ask(partial(work, stopped=self._stop.is_set))

    def _drop(self) -> None:
        """End what goes on: other labels count."""
        self._stop.set()
        self._stop_checking.set()
        self._latest.drop()
        self._checking.drop()
        self._working = self._validating = False
        self._asked = None

    def _on_worked(self, outcome: Outcome | str) -> None:
        self._working = False
        if isinstance(outcome, str):
            self.why_not = outcome
            self.changed.emit()
            return
        labelled = outcome.labelled
        if outcome.start == 0:
            self._forget_cells()
            self._classifier, self._fitted_to = outcome.classifier, labelled
            names = outcome.classifier.names if labelled is None else labelled.names
            self.cells = ClassedCells(names)
        code = outcome.code
        if self._loaded is None and self._fitted_to is not None:
            # Places among the classes that have labels, to those among all.
            code = self._fitted_to.used.astype(np.int32)[code]
        self.cells.append(code, outcome.probability, outcome.margin)
        self.why_not = ""
        self.changed.emit()
        if labelled is not None:
            self._stop_checking, self._validating = threading.Event(), True
            self._checking.ask(partial(checked, labelled, self._stop_checking.is_set))
        self.grow()

    def _on_checked(self, outcome: tuple[Labelled, HeldOut]) -> None:
        self._validating = False
        labelled, found = outcome
        if labelled is self._fitted_to and self._classifier is not None:
            self._classifier = self._classifier.with_evidence(found)
        self.changed.emit()

    def _require_model(self, classifier: CellClassifier) -> None:
        assert self._session is not None
        model = self._session.model
        if isinstance(model, Model):
            classifier.require_model(model.name, model.known_sha256)

    def _forget_cells(self) -> None:
        """No cell has a class."""
        self._classifier = self._fitted_to = None
        self.cells = ClassedCells()
        self.why_not = ""

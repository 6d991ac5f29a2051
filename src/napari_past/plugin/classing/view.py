"""Classes by clicks: ties the box, the marks and the pointer to the labels and the classifier."""

from __future__ import annotations

from pathlib import Path

import napari
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_past.errors import PastError
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.classing.label_keys import LabelKeys
from napari_past.plugin.classing.labels import ClassLabels
from napari_past.plugin.classing.marks import Marks
from napari_past.plugin.classing.probing import Probing
from napari_past.plugin.classing.save_dialog import SaveDialog
from napari_past.plugin.classing.telling import hint_of, rows_of
from napari_past.plugin.classing.words import honesty
from napari_past.plugin.inspecting import Inspecting
from napari_past.plugin.panel import Panel
from napari_past.plugin.session import Session
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.viewport import canvas_mpp

SUGGESTED_MPP = 0.5
"""µm per pixel of the canvas at which a suggested cell is shown, unless the user is nearer."""


class ClassView(QObject):
    """Keeps box and marks in step with the labels, and has clicks and keys label."""

    def __init__(
        self,
        viewer: napari.Viewer,
        panel: Panel,
        probing: Probing,
        annotating: Annotating,
        inspecting: Inspecting,
        unscored: Unscored,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._probing, self._annotating = viewer, probing, annotating
        self._inspecting, self._unscored = inspecting, unscored
        self._box, self._ways = panel.classes, panel.types
        self._session: Session | None = None
        self._chosen, self._chosen_name = -1, ""
        self._labelling = self._drawing = False
        self._suggestions: list[int] = []
        self._suggested = -1
        """The cell that is ringed; −1 for none."""
        self._marks = Marks(viewer, self)
        self._dialog = SaveDialog(parent)
        self._keys = LabelKeys(parent, self._on_key, self.go_to_next)
        # One telling for all that comes at once.
        self._timer = settling_timer(self, 0, self._tell)
        box = self._box
        box.added.connect(self._on_added)
        box.rows.chosen.connect(self.choose)
        box.rows.renamed.connect(self._on_renamed)
        box.rows.removed.connect(self._on_removed)
        box.labelling.connect(self.set_labelling)
        box.drawing.connect(self.set_drawing)
        box.next_wanted.connect(self.go_to_next)
        box.undo_wanted.connect(annotating.undo)
        box.redo_wanted.connect(annotating.redo)
        box.probability_changed.connect(self._timer.start)
        box.load_wanted.connect(self.load)
        box.save_wanted.connect(self._on_save)
        box.put_away.connect(probing.put_away)
        self._dialog.saved.connect(_tell_saved)
        self._ways.changed.connect(self._on_shown)
        self._marks.drawn.connect(self._on_drawn)
        inspecting.pointer.picked.connect(self._on_picked)
        annotating.restored.connect(self._on_restored)
        probing.changed.connect(self._timer.start)
        unscored.changed.connect(self._timer.start)
        self._tell()

    # ---- what it does --------------------------------------------------------------------------

    def set_session(self, session: Session | None) -> None:
        """Another slide or model, or none."""
        self._session = session
        self._end_modes()
        self._find_chosen()
        self._probing.set_session(session)
        self._tell()

    def choose(self, code: int) -> None:
        """Have the next labels be of this class."""
        if self._probing.loaded is None and 0 <= code < len(self._labels.names):
            self._chosen, self._chosen_name = code, self._labels.names[code]
            if self._drawing:
                self._marks.draw(True, code)
            else:
                self._labelling = True
            self._tell()

    def set_labelling(self, on: bool) -> None:
        """Whether a click gives a cell the chosen class."""
        self._labelling = on
        if on:
            self._set_drawing(False)
        self._tell()

    def set_drawing(self, on: bool) -> None:
        """Whether the mouse draws areas of the chosen class."""
        self._set_drawing(on)
        if on:
            self._labelling = False
        self._tell()

    def label(self, cell: int) -> None:
        """Give a cell the chosen class; given again, it is taken away."""
        table = self._probing.table
        if table is not None and 0 <= cell < len(table) and self._chosen >= 0:
            self._suggest(-1)
            x, y = table.centers_um[cell].tolist()
            self._keep(self._labels.with_place(x, y, self._chosen))

    def go_to_next(self) -> None:
        """Fly to a cell that is worth labelling."""
        if not self._suggestions:
            self._suggestions = self._probing.suggested(self._unscored.used)
        table = self._probing.table
        if table is None or not self._suggestions:
            return
        self._labelling = True
        self._set_drawing(False)
        self._suggest(self._suggestions.pop(0))
        x, y = table.centers_um[self._suggested].tolist()
        camera = self._viewer.scene.camera
        camera.center = (y, x)
        if canvas_mpp(self._viewer) > SUGGESTED_MPP:
            camera.zoom = 1 / SUGGESTED_MPP
        self._tell()

    def load(self, path: str) -> None:
        """Use the classifier in a file, and show its classes; what is wrong with it is told."""
        try:
            self._probing.load(Path(path))
        except PastError as exc:
            show_error(str(exc))
            return
        self._end_modes()
        if not self._ways.by_class.isChecked():
            self._ways.by_class.setChecked(True)
        self._tell()

    # ---- what happens --------------------------------------------------------------------------

    @property
    def _labels(self) -> ClassLabels:
        return self._annotating.classes

    @property
    def _is_shown(self) -> bool:
        return bool(self._ways.by_class.isChecked())

    def _keep(self, labels: ClassLabels) -> None:
        """Other labels, by the user."""
        self._suggestions = []
        self._annotating.set_classes(labels)
        self._find_chosen()
        self._probing.follow()

    def _find_chosen(self) -> None:
        """Keep the class that is given next when others come or go, and their places change."""
        names = self._labels.names
        if self._chosen_name in names:
            self._chosen = names.index(self._chosen_name)
        elif names:
            # Renamed or removed, or another slide's: the one in its place.
            self._chosen = min(max(self._chosen, 0), len(names) - 1)
            self._chosen_name = names[self._chosen]
        else:
            self._chosen = -1
            self._end_modes()
        if self._drawing:
            self._marks.draw(True, self._chosen)

    def _on_added(self, name: str) -> None:
        if self._session is None:
            show_error("There is no slide whose cells could be of a class; open one first.")
            return
        try:
            labels = self._labels.with_class(name)
        except PastError as exc:
            show_error(str(exc))
            return
        self._box.named()
        self._keep(labels)
        self.choose(len(labels.names) - 1)

    def _on_renamed(self, code: int, name: str) -> None:
        try:
            self._keep(self._labels.renamed(code, name))
        except PastError as exc:
            show_error(str(exc))

    def _on_removed(self, code: int) -> None:
        self._keep(self._labels.without_class(code))

    def _on_drawn(self) -> None:
        areas = self._marks.areas()
        if areas != self._labels.areas and self._session is not None:
            known = [area for area in areas if area.code < len(self._labels.names)]
            self._keep(self._labels.with_areas(known))

    def _on_picked(self, cell: int) -> None:
        if self._labelling and self._is_shown:
            self.label(cell)

    def _on_key(self, code: int) -> None:
        if code >= len(self._labels.names):
            return
        self.choose(code)
        if self._suggested >= 0:
            self.label(self._suggested)

    def _on_restored(self) -> None:
        """Undone, redone, or another slide's."""
        self._suggestions = []
        self._suggest(-1)
        self._find_chosen()
        self._probing.follow()

    def _on_shown(self) -> None:
        if self._is_shown:
            self._probing.get_ready()
        else:
            self._end_modes()
        self._tell()

    def _on_save(self) -> None:
        classifier, session = self._probing.classifier, self._session
        if classifier is not None and session is not None:
            self._dialog.offer(classifier, Path(session.slide.ref.path).parent)

    def _suggest(self, cell: int) -> None:
        table = self._probing.table
        self._suggested = cell
        there = table is not None and 0 <= cell < len(table)
        self._marks.suggest(table.centers_um[cell] if there and table is not None else None)

    def _set_drawing(self, on: bool) -> None:
        if on is not self._drawing:
            self._drawing = on
            self._marks.draw(on, max(self._chosen, 0))

    def _end_modes(self) -> None:
        """The mouse labels nothing any more."""
        self._labelling = False
        self._set_drawing(False)
        self._suggestions = []
        self._suggest(-1)

    # ---- what is told --------------------------------------------------------------------------

    def _tell(self) -> None:
        probing, labels, box = self._probing, self._labels, self._box
        loaded, shown = probing.loaded, self._is_shown
        self._inspecting.picks = not (shown and self._labelling)
        self._keys.switch(shown and (self._labelling or self._drawing))
        if not shown:
            self._marks.hide()
            return
        labelled = probing.labelled
        if labelled is not None and probing.table is not None and loaded is None:
            clicked = labelled.act < 0
            centers = probing.table.centers_um[labelled.index[clicked]]
            self._marks.show(centers, labelled.code[clicked], labels.areas)
        else:
            self._marks.hide()
        rows = rows_of(probing, labels, box.least_probability, self._unscored.used)
        box.show_rows(rows, self._chosen if loaded is None else -1, loaded is None)
        box.set_modes(self._labelling, self._drawing)
        box.arrange(bool(labels.names), loaded is not None, probing.classifier is not None)
        box.save.setEnabled(probing.classifier is not None and not probing.busy)
        told = hint_of(
            probing, labels, self._chosen, self._labelling, self._drawing, self._suggested
        )
        box.tell(
            told if self._session is not None else "",
            honesty(probing.classifier, loaded is not None),
        )
        self._inspecting.tell_again()


def _tell_saved(path: str) -> None:
    show_info(f"Saved the classifier to {path}.")

"""Regions as they are drawn, and the scores of their cells."""

from __future__ import annotations

import napari
from napari.layers import Shapes
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.annotating import Annotating
from napari_past.plugin.desk import Desk
from napari_past.plugin.region_box import RegionBox
from napari_past.plugin.region_shapes import (
    add_regions_layer,
    all_regions,
    complete_names,
    set_role,
)
from napari_past.plugin.scoring import Scoring
from napari_past.plugin.telling import part_scored
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.viewport import fly_to
from napari_past.stain import ScoreTable
from napari_past.types import Region

_DEBOUNCE_MS = 150


class RegionScores(QObject):
    """Keeps the table of scores in step with shapes, mask and cells."""

    changed = Signal()
    """Another table is there, or is worked out."""

    def __init__(
        self,
        viewer: napari.Viewer,
        box: RegionBox,
        annotating: Annotating,
        unscored: Unscored,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._desk = viewer, box, desk
        self._annotating, self._unscored = annotating, unscored
        self.table: ScoreTable | None = None
        """The scores; None where there are none."""
        self.why_not = ""
        """Told in place of scores where the gene has none."""
        self._scoring = Scoring(self)
        self._scoring.scored.connect(self._on_scored)
        self._timer = settling_timer(self, _DEBOUNCE_MS, self._on_rested)
        unscored.changed.connect(self._on_unscored)
        box.new_layer.connect(self._on_new_layer)
        box.role_chosen.connect(self._on_role)
        box.region_chosen.connect(self._on_chosen)
        box.unscored.edit.connect(unscored.edit)
        box.unscored.read.connect(unscored.read)
        box.unscored.counted.connect(unscored.set_counted)
        box.note_given.connect(annotating.set_region_note)

    @property
    def busy(self) -> bool:
        return self._scoring.busy

    @property
    def settling(self) -> bool:
        """Whether shapes changed a moment ago."""
        return self._timer.isActive()

    def regions(self, selected: bool = False) -> tuple[Region, ...]:
        """Regions of every shapes layer in µm, or the selected shapes alone."""
        return all_regions(self._viewer.layers, selected)

    def follow_layers(self) -> None:
        """Layers came or went: watch the shapes there are."""
        for layer in self._shapes():
            for emitter in (layer.events.data, layer.events.features):
                emitter.disconnect(self._on_drawn)
                emitter.connect(self._on_drawn)
        self._timer.start()

    def score(self) -> None:
        """Work the scores out anew, beside the GUI thread."""
        session, shown = self._desk.session, self._desk.shown
        part = part_scored(session, 0 if shown is None else len(shown.values))
        cells = None if session is None else session.table
        self._scoring.ask(cells, shown, self.regions(), self._unscored.used, self.why_not, part)
        self.changed.emit()

    def _shapes(self) -> list[Shapes]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Shapes)]

    def _on_scored(self, table: ScoreTable | None, note: str) -> None:
        self.table = table
        self._box.set_table(table, note)
        self.changed.emit()

    def _on_unscored(self) -> None:
        self._box.unscored.set_note(self._unscored.note)
        self.score()

    def _on_new_layer(self) -> None:
        add_regions_layer(self._viewer)

    def _on_role(self, role: str) -> None:
        active = self._viewer.layers.selection.active
        if isinstance(active, Shapes):
            set_role(active, role)

    def _on_drawn(self, event: object = None) -> None:
        self._timer.start()

    def _on_rested(self) -> None:
        for layer in self._shapes():
            complete_names(layer)
        self._annotating.take_regions()
        self.score()

    def _on_chosen(self, name: str) -> None:
        named = (region.bounds for region in self.regions() if region.name == name)
        bounds = next(named, self._desk.slide_bounds)
        if bounds is not None:
            fly_to(self._viewer, bounds)

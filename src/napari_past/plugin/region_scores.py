"""Regions as they are drawn, and the scores of their cells."""

from __future__ import annotations

import napari
from napari.layers import Shapes
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_past.errors import PastError, RegionError
from napari_past.io import read_regions
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.desk import Desk
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_box import RegionBox
from napari_past.plugin.region_shapes import (
    add_regions_layer,
    all_regions,
    complete_names,
    keep_edges_visible,
    set_role,
)
from napari_past.plugin.scoring import Scored, Scoring
from napari_past.plugin.session import Session
from napari_past.plugin.telling import part_scored
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.viewport import canvas_mpp, fly_to
from napari_past.stain import CountedCells, ScoreTable
from napari_past.stain.counted import WHOLE_SLIDE_ROLE
from napari_past.types import Rect, Region

_DEBOUNCE_MS = 150
_PAUSE_MS = 300
"""A cut-off that is dragged rests for so long before intervals and hot spots are worked out."""


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
        self._scored: Scored | None = None
        self.why_not = ""
        """Told in place of scores where the gene has none."""
        self._stepping = False
        """Whether the scores are those of a cut-off on its way, of which others need not know."""
        self._scoring = Scoring(self)
        self._scoring.scored.connect(self._on_scored)
        self._reading = Latest(self)
        self._reading.ready.connect(self._on_read)
        self._timer = settling_timer(self, _DEBOUNCE_MS, self._on_rested)
        self._pause = settling_timer(self, _PAUSE_MS, self.score)
        unscored.changed.connect(self._on_unscored)
        box.new_layer.connect(self._on_new_layer)
        box.role_chosen.connect(self._on_role)
        box.region_chosen.connect(self._on_chosen)
        box.read.connect(self.read)
        box.unscored.edit.connect(unscored.edit)
        box.unscored.read.connect(unscored.read)
        box.unscored.counted.connect(unscored.set_counted)
        box.note_given.connect(annotating.set_region_note)

    @property
    def table(self) -> ScoreTable | None:
        """The scores; None where there are none."""
        return None if self._scored is None else self._scored.table

    @property
    def of_shown(self) -> Scored | None:
        """The scores of slide, gene and cut-offs in view, complete; None while they are on their
        way, and where there are none."""
        scored, desk = self._scored, self._desk
        if scored is None or scored.quick or not scored.is_of(desk.session, desk.shown):
            return None
        return scored

    @property
    def coming(self) -> bool:
        """Whether other scores are on their way; `changed` tells when they are there."""
        return self._scoring.coming or self._pause.isActive()

    @property
    def busy(self) -> bool:
        return self._scoring.busy or self._reading.busy or self._pause.isActive()

    @property
    def counted(self) -> CountedCells | None:
        """Which cells count, the whole slide's in the last row; None while that is not known."""
        return self._scoring.counted

    @property
    def settling(self) -> bool:
        """Whether shapes changed a moment ago."""
        return self._timer.isActive()

    @property
    def chosen_name(self) -> str:
        """Name of the region whose line in the table is selected; empty without one."""
        return self._box.table.selected

    def regions(self, selected: bool = False) -> tuple[Region, ...]:
        """Regions of every shapes layer in µm, or the selected shapes alone."""
        return all_regions(self._viewer.layers, selected)

    def read(self, path: str) -> None:
        """Add the annotations that QuPath exported; a mistake in the file is told."""
        session = self._desk.session
        if session is not None:
            slide = session.slide
            mpp, bounds, name = slide.require_mpp(), slide.bounds, slide.name
            self._reading.ask(lambda: (session, _read(path, mpp, bounds, name)))
            self.changed.emit()

    def follow_layers(self) -> None:
        """Layers came or went: watch the shapes there are."""
        for layer in self._shapes():
            for emitter in (layer.events.data, layer.events.features):
                emitter.disconnect(self._on_drawn)
                emitter.connect(self._on_drawn)
        self._timer.start()

    def score(self) -> None:
        """Work the scores out anew, beside the GUI thread."""
        self._pause.stop()
        session, shown = self._desk.session, self._desk.shown
        part = part_scored(session, 0 if shown is None else len(shown.values))
        self._scoring.ask(session, shown, self.regions(), self._unscored.used, self.why_not, part)
        self.changed.emit()

    def step(self) -> None:
        """Counts and scores of a cut-off that is dragged; the rest follows when it rests."""
        shown = self._desk.shown
        if shown is not None:
            self._stepping = True
            self._scoring.step(shown)
            self._stepping = False
            self._pause.start()

    def _shapes(self) -> list[Shapes]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Shapes)]

    def _on_scored(self, scored: Scored | None, note: str) -> None:
        self._scored = scored
        self._box.set_table(self.table, note, self._annotating.core_columns)
        if not self._stepping:
            self.changed.emit()

    def _on_read(self, outcome: tuple[Session, tuple[Region, ...] | str]) -> None:
        session, found = outcome
        if isinstance(found, str):
            show_error(found)
        elif session is self._desk.session:
            self._annotating.add_regions(found)
            self._timer.start()
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
        keep_edges_visible(self._viewer.layers, canvas_mpp(self._viewer))
        self._annotating.take_regions()
        self.score()

    def _on_chosen(self, number: int) -> None:
        rows = () if self.table is None else self.table.rows
        if number >= len(rows):
            return
        # Rows are the regions in their order, then the slide; two regions may have one name.
        scored = [region for region in self.regions() if not region.ignored]
        name = rows[number].region
        there = scored[number : number + 1] + scored
        named = (region.bounds for region in there if region.name == name)
        bounds = self._desk.slide_bounds
        if rows[number].role != WHOLE_SLIDE_ROLE:
            bounds = next(named, bounds)
        if bounds is not None:
            fly_to(self._viewer, bounds)


def _read(path: str, mpp: float, slide: Rect, name: str) -> tuple[Region, ...] | str:
    """The regions of a file, or in one sentence why there are none."""
    try:
        found = read_regions(path, mpp)
        if not any(region.bounds.intersects(slide) for region in found):
            raise RegionError(
                f"None of the {len(found)} regions of {path} lies on {name}; take the file that "
                f"was exported from this slide."
            )
    except PastError as exc:
        return str(exc)
    return found

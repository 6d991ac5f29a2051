"""Regions, notes, cut-offs and classes of the slide in view: kept, saved as they change, undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import napari
import pandas as pd
from napari.layers import Shapes
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_past.errors import PastError
from napari_past.genes import Resolved
from napari_past.plugin.active_layer import keeping_active
from napari_past.plugin.annotations import Annotations, History, KeptCutoffs, joined
from napari_past.plugin.autosave import Autosave, NotReadNow
from napari_past.plugin.classing.labels import ClassLabels
from napari_past.plugin.region_rings import ring_of, same_places, same_regions
from napari_past.plugin.region_shapes import (
    add_regions_layer,
    colours_of_roles,
    complete_names,
    regions_of,
)
from napari_past.plugin.timers import settling_timer
from napari_past.slide import Slide
from napari_past.space import world_from_um
from napari_past.stain.measured import has_classes
from napari_past.types import Cutoffs, Region

_SAVE_AFTER_MS, _LOOK_AFTER_MS = 800, 50


class Annotating(QObject):
    """Holds the document of the slide in view; every change is saved and can be undone."""

    restored = Signal()
    """Other regions, notes, cut-offs or classes took the place of those there were."""

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._autosave = Autosave()
        self._slide: tuple[str, str] | None = None
        self._history = History(Annotations())
        self._before = ""
        """Fingerprint of the slide that was in view before."""
        self._unsaved = False
        self._missed = False
        """Whether what was said of the slide before could not be read, and may be there."""
        self._drawing = False
        self._timer = settling_timer(self, _SAVE_AFTER_MS, self._save_beside)
        self._writing: Future[None] | None = None
        # The writer tells nothing by itself: with the window this object may be gone by then.
        self._look = settling_timer(self, _LOOK_AFTER_MS, self._look_at_writing)

    @property
    def cell_notes(self) -> Mapping[str, str]:
        """By cell id."""
        return self._history.now.cell_notes

    @property
    def region_notes(self) -> Mapping[str, str]:
        """By region name."""
        return self._history.now.region_notes

    @property
    def core_columns(self) -> Mapping[str, Mapping[str, str]]:
        """What is told of a tissue microarray's cores, by core name."""
        return self._history.now.core_columns

    @property
    def classes(self) -> ClassLabels:
        """Named by the user, and the labels."""
        return self._history.now.classes

    def cutoffs(self, model: str, gene: Resolved) -> Cutoffs | None:
        """What the user set for a gene of a model on this slide; None where classes are measured,
        which have no cut-offs but their own."""
        if gene.measured and has_classes(gene.symbols[0]):
            return None
        return self._history.now.cutoffs.get(_key(model, gene))

    def kept_elsewhere(self, model: str, gene: Resolved) -> Callable[[], list[KeptCutoffs]]:
        """Reads what the user set for a gene of a model on other slides, in any thread."""
        here = "" if self._slide is None else self._slide[0]
        return partial(self._autosave.cutoffs_elsewhere, _key(model, gene), here)

    def set_slide(self, slide: Slide | None) -> None:
        """Turn to another slide: what was said of it before comes back."""
        self._save()
        if self._slide is not None:
            self._before = self._slide[0]
        self._slide = None if slide is None else (slide.fingerprint, slide.name)
        self._missed = False
        if slide is None:
            self._history = History(Annotations())
            return
        try:
            found = self._autosave.load(slide.fingerprint)
        except PastError as exc:
            show_error(str(exc))
            found, self._missed = Annotations(), isinstance(exc, NotReadNow)
        self._history = History(found)
        if self._before not in ("", slide.fingerprint) or found.regions:
            # Shapes that were drawn on another slide are not this one's.
            self._draw(found.regions)
        self.restored.emit()

    def set_cell_note(self, cell: str, text: str) -> None:
        """Note something on a cell; an empty text takes the note away."""
        notes = {**self.cell_notes, cell: text}
        self._push(cell_notes={k: v for k, v in notes.items() if v})

    def set_region_note(self, name: str, text: str) -> None:
        """Note something on a region; an empty text takes the note away."""
        notes = {**self.region_notes, name: text}
        self._push(region_notes={k: v for k, v in notes.items() if v})

    def set_cutoffs(self, model: str, gene: Resolved, cutoffs: Cutoffs | None) -> None:
        """Keep what the user set for a gene; None goes back to the card's."""
        kept = {k: v for k, v in self._history.now.cutoffs.items() if k != _key(model, gene)}
        self._push(cutoffs=kept if cutoffs is None else {**kept, _key(model, gene): cutoffs})

    def set_classes(self, labels: ClassLabels) -> None:
        """Keep other classes or labels; one change, which can be undone."""
        self._push(classes=labels)

    def take_regions(self) -> None:
        """The shapes on the slide changed."""
        drawn = self._drawn()
        # What was read from a file or restored may begin its rings elsewhere once it is drawn.
        if not self._drawing and not same_regions(drawn, self._history.now.regions):
            self._push(regions=drawn)

    def add_regions(self, regions: tuple[Region, ...]) -> None:
        """Draw more regions, as from a file; one change, which can be undone."""
        if self._slide is None:
            return
        self.take_regions()
        together = (*self._drawn(), *regions)
        self._draw(together)
        self._push(regions=together)

    def set_cores(
        self, regions: tuple[Region, ...], columns: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Draw these regions in place of all there are, and keep what is told of cores: one change,
        which can be undone."""
        if self._slide is None:
            return
        self.take_regions()
        self._draw(regions)
        self._push(regions=regions, core_columns=columns)

    def undo(self) -> None:
        """Go back by one change."""
        if self._history.undo():
            self._restore()

    def redo(self) -> None:
        """Take an undone change again."""
        if self._history.redo():
            self._restore()

    def close(self) -> None:
        """Save what is not saved yet."""
        self._save()
        self._slide = None

    def _push(self, **changes: object) -> None:
        if self._slide is not None and self._history.push(
            replace(self._history.now, **changes)  # type: ignore[arg-type]
        ):
            self._save_soon()

    def _restore(self) -> None:
        self._draw(self._history.now.regions)
        self._save_soon()
        self.restored.emit()

    def _save_soon(self) -> None:
        self._unsaved = True
        self._timer.start()

    def _save_beside(self) -> None:
        """Write the state there is now in another thread: hundreds of cores take a while."""
        if self._writing is not None:
            # It may be older than what is to be written: that goes next.
            self._timer.start()
            return
        if self._missed:
            self._save()
            return
        if self._slide is None or not self._unsaved:
            return
        self._unsaved = False
        # One at a time, so states are written in the order in which they came; the thread ends
        # with its work, and the interpreter waits for it.
        writer = ThreadPoolExecutor(1, "annotations")
        self._writing = writer.submit(self._autosave.save, *self._slide, self._history.now)
        writer.shutdown(wait=False)
        self._look.start()

    def _look_at_writing(self) -> None:
        if self._writing is None:
            return
        if not self._writing.done():
            self._look.start()
            return
        try:
            self._wait_until_written()
        except PastError as exc:
            show_error(str(exc))

    def _wait_until_written(self) -> None:
        """What is being written is written, or counts as unsaved.

        Raises
        ------
        CannotWrite
            It could not be written.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                writing.result()
            except BaseException:
                self._unsaved = True
                raise

    def _save(self) -> None:
        """Write what is not written yet, now: the slide is left."""
        self._timer.stop()
        # What could not be written a moment ago is tried again here, and told of here.
        with contextlib.suppress(PastError):
            self._wait_until_written()
        if self._slide is None or not self._unsaved:
            return
        try:
            if self._missed:
                self._take_missed(self._slide[0])
            self._autosave.save(*self._slide, self._history.now)
            self._unsaved = False
        except PastError as exc:
            # Nothing is lost yet: the next change tries again, and so does the end.
            show_error(str(exc))

    def _take_missed(self, fingerprint: str) -> None:
        """What could not be read before is there, too: never save over it.

        Raises
        ------
        NotReadNow
            It still cannot be read.
        """
        together = joined(self._autosave.load(fingerprint), self._history.now)
        self._missed = False
        self._history.push(together)
        self._draw(together.regions)
        self.restored.emit()

    def _layers(self) -> list[Shapes]:
        """Those of our regions; shapes without a role are somebody else's."""
        shapes = [layer for layer in self._viewer.layers if isinstance(layer, Shapes)]
        return [layer for layer in shapes if "role" in layer.features]

    def _drawn(self) -> tuple[Region, ...]:
        return tuple(region for layer in self._layers() for region in regions_of(layer))

    def _draw(self, regions: tuple[Region, ...]) -> None:
        """Show these regions in place of those that are on the slide."""
        layers = self._layers()
        if not layers and not regions:
            return
        self._drawing = True
        try:
            with keeping_active(self._viewer):
                self._redraw(layers, regions)
        finally:
            self._drawing = False

    def _redraw(self, layers: list[Shapes], regions: tuple[Region, ...]) -> None:
        layer = layers[0] if layers else add_regions_layer(self._viewer)
        for other in layers[1:]:
            self._viewer.layers.remove(other)
        layer.selected_data = set()
        # Another name or role of the same shapes: to draw hundreds anew takes a while.
        drawn = regions_of(layer) if len(layer.data) == len(regions) else ()
        if not (regions and same_places(drawn, regions)):
            if len(layer.data):
                layer.data = []
            if regions:
                layer.add_polygons(
                    [world_from_um(ring_of(region)) for region in regions],
                    # Hundreds of shapes would be drawn anew for other colours.
                    edge_color=colours_of_roles([region.role for region in regions]),
                )
        told = [(region.name, region.role) for region in regions]
        layer.features = pd.DataFrame(told, columns=["name", "role"], dtype=object)
        complete_names(layer)
        layer.mode = "pan_zoom"


def _key(model: str, gene: Resolved) -> str:
    return f"{model}: {' + '.join(gene.symbols)}"

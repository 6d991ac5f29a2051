"""Heat maps of the slides in the viewer: opened beside the GUI thread, one for each slide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_past.io.heat_map import HeatChannel, HeatMap
from napari_past.io.heat_map_file import read_heat_map
from napari_past.plugin.desk import Desk
from napari_past.plugin.heat.box import HeatMapBox
from napari_past.plugin.heat.layer import add_layer, show_channel
from napari_past.plugin.heat.regions import HeatRegion, top_regions
from napari_past.plugin.heat.scale import scale_of
from napari_past.plugin.heat.words import NO_SLIDE, check_slide, counted
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.viewport import fly_to
from napari_past.types import SlideRef


@dataclass
class _Laid:
    """A map over its slide."""

    found: HeatMap
    layer: Image
    number: int = 0
    """Of the channel that is shown."""
    regions: tuple[HeatRegion, ...] = ()
    hid_cells: bool = False
    """Whether the cells' colours were hidden for it."""
    hidden: bool = False
    """Whether another slide is in view, for which its layer was hidden."""

    @property
    def channel(self) -> HeatChannel:
        return self.found.channels[self.number]


class HeatMapView(QObject):
    """Does what the box asks for. Emits `changed` when a map came, went or shows something else."""

    changed = Signal()

    def __init__(
        self, viewer: napari.Viewer, box: HeatMapBox, jobs: Jobs, desk: Desk, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._jobs, self._desk = viewer, box, jobs, desk
        self._laid: dict[SlideRef, _Laid] = {}
        self._gone: list[Image] = []
        # Not at once: napari may be in the middle of taking out several layers by their places.
        self._clearing = settling_timer(self, 0, self._clear_gone)
        box.path_given.connect(lambda path: self.open(Path(path)))
        box.channel_chosen.connect(self._on_channel)
        box.opacity_chosen.connect(self._on_opacity)
        box.flown_to.connect(self._on_flown_to)
        box.remove_wanted.connect(self.remove)
        viewer.mouse_move_callbacks.append(self._on_move)

    @property
    def found(self) -> HeatMap | None:
        """The map of the slide in view."""
        laid = self._current
        return None if laid is None else laid.found

    @property
    def layer(self) -> Image | None:
        laid = self._current
        return None if laid is None else laid.layer

    def open(self, path: Path) -> None:
        """Lay the map of a file over the slide in view; another slide's is refused."""
        session = self._desk.session
        if session is None:
            show_error(NO_SLIDE.format(name=path.name))
            return
        slide = session.slide

        def work(job: Job) -> HeatMap:
            found = read_heat_map(path)
            check_slide(found, slide, path.name)
            return found

        def done(found: object) -> None:
            assert isinstance(found, HeatMap)
            self._lay(slide.ref, found)

        self._jobs.run(work, f"Reading {path.name}", done, stoppable=True)

    def remove(self) -> None:
        """Take the map of the slide in view away."""
        session = self._desk.session
        if session is not None:
            self._forget(session.slide.ref)
            self._clear_gone()
            self.follow()

    def follow(self) -> None:
        """Another slide is in view, or none: its map is shown, and others are not."""
        current = self._current
        for laid in self._laid.values():
            if laid is not current and not laid.hidden:
                # What the eye in the layer list says counts when the slide comes back.
                laid.hidden = laid.layer.visible
                laid.layer.visible = False
        if current is None:
            self._box.set_none()
        else:
            if current.hidden:
                current.hidden, current.layer.visible = False, True
            self._show(current)
        self.changed.emit()

    def follow_slides(self, refs: set[SlideRef]) -> None:
        """These slides are in the viewer, and perhaps other layers than before."""
        lost = [
            ref
            for ref, laid in self._laid.items()
            if ref not in refs or laid.layer not in self._viewer.layers
        ]
        for ref in lost:
            self._forget(ref)
        if lost:
            self._clearing.start()
            self.follow()

    def close(self) -> None:
        """Leave the viewer's callbacks as they were."""
        if self._on_move in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._on_move)

    # ---- layers ------------------------------------------------------------------------------

    @property
    def _current(self) -> _Laid | None:
        session = self._desk.session
        return None if session is None else self._laid.get(session.slide.ref)

    def _lay(self, ref: SlideRef, found: HeatMap) -> None:
        before = self._laid.get(ref)
        self._forget(ref)
        self._clear_gone()
        laid = _Laid(found, add_layer(self._viewer, found, found.channels[0]))
        view = self._desk.view
        if view is not None:
            # Two colour scales in one place cannot be read.
            laid.hid_cells = view.seen[0] or (before is not None and before.hid_cells)
            view.set_seen(False, view.seen[1])
        self._laid[ref] = laid
        self._find_regions(laid)
        for emitter in (laid.layer.events.colormap, laid.layer.events.contrast_limits):
            emitter.connect(self._on_colours)
        laid.layer.events.opacity.connect(self._on_layer_opacity)
        self.follow()

    def _forget(self, ref: SlideRef) -> None:
        laid = self._laid.pop(ref, None)
        if laid is None:
            return
        for emitter, slot in (
            (laid.layer.events.colormap, self._on_colours),
            (laid.layer.events.contrast_limits, self._on_colours),
            (laid.layer.events.opacity, self._on_layer_opacity),
        ):
            emitter.disconnect(slot)
        self._gone.append(laid.layer)
        session, view = self._desk.session, self._desk.view
        if laid.hid_cells and view is not None and session is not None and session.slide.ref == ref:
            view.set_seen(True, view.seen[1])

    def _clear_gone(self) -> None:
        gone, self._gone = self._gone, []
        for layer in gone:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _find_regions(self, laid: _Laid) -> None:
        laid.regions = top_regions(laid.found, laid.channel)

    def _show(self, laid: _Laid) -> None:
        self._box.set_map(laid.found, laid.number)
        self._box.set_regions(laid.found, laid.channel, laid.regions, scale_of(laid.channel))
        self._box.set_opacity(laid.layer.opacity)
        self._on_colours()

    # ---- what the user does ------------------------------------------------------------------

    def _on_channel(self, number: int) -> None:
        laid = self._current
        if laid is None or number == laid.number:
            return
        laid.number = number
        show_channel(laid.layer, laid.found, laid.channel)
        self._find_regions(laid)
        self._show(laid)
        self.changed.emit()

    def _on_opacity(self, opacity: float) -> None:
        laid = self._current
        if laid is not None:
            laid.layer.opacity = opacity

    def _on_layer_opacity(self, event: object = None) -> None:
        laid = self._current
        if laid is not None:
            self._box.set_opacity(laid.layer.opacity)

    def _on_colours(self, event: object = None) -> None:
        """Colours and limits may be changed in napari's own controls: the key says what is so."""
        laid = self._current
        if laid is None:
            return
        low, high = (float(limit) for limit in laid.layer.contrast_limits)
        colours = np.asarray(laid.layer.colormap.map(np.linspace(0, 1, 256)))
        values = laid.channel.values
        beyond = (bool((values < low).any()), bool((values > high).any()))
        self._box.key.set_colours(colours, scale_of(laid.channel), (low, high), beyond)

    def _on_flown_to(self, number: int) -> None:
        laid = self._current
        if laid is not None and number < len(laid.regions):
            fly_to(self._viewer, laid.regions[number].rect)

    def _on_move(self, viewer: napari.Viewer, event: Any) -> None:
        laid = self._current
        if laid is None or not laid.layer.visible:
            return
        row, column = (math.floor(v / laid.found.grid.mpp) for v in event.position[-2:])
        cells = laid.found.cells
        inside = 0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]
        n = int(cells[row, column]) if inside else 0
        if not n:
            self._box.point("")
            return
        scale = scale_of(laid.channel)
        value = scale.told(float(laid.channel.values[row, column]))
        self._box.point(f"Under the pointer: {value} {scale.short} · {counted(laid.found, n)}")

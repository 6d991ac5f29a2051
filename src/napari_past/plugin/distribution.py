"""Keeps the histogram of the cut-offs in step with gene, cells, regions and view."""

from __future__ import annotations

from dataclasses import dataclass

import napari
import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.cutoff_box import CutoffBox
from napari_past.plugin.desk import Desk
from napari_past.plugin.histogram_cells import IN_VIEW, HistogramCells, histogram_cells
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.value_bins import ValueAxis, ValueBins, value_axis, value_bins
from napari_past.plugin.viewport import view_rect
from napari_past.stain import CountedCells
from napari_past.types import Cutoffs, FloatArray

AXIS_HOLDS = 2
"""An axis is taken anew when there are so many times the cells it came from: lines stay quiet."""


@dataclass(frozen=True)
class _Request:
    values: FloatArray
    cells: HistogramCells
    title: str
    axis: ValueAxis | None
    """None takes another one."""
    cutoffs: Cutoffs
    """Of the card, for the axis."""


class Distribution(QObject):
    """Has the bins counted beside the GUI thread; cut-offs that are dragged do not change them."""

    changed = Signal()
    """Other bins are shown, or are counted."""

    def __init__(
        self,
        viewer: napari.Viewer,
        box: CutoffBox,
        scores: RegionScores,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._scores, self._desk = viewer, box, scores, desk
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_counted)
        self._seen: tuple[object, ...] = ()
        """What the bins stand on."""
        self._axis: ValueAxis | None = None
        self._axis_of: tuple[object, ...] = ()
        self._axis_cells = 0
        scores.changed.connect(self.follow)
        box.cells.asked.connect(self.follow)

    @property
    def busy(self) -> bool:
        return self._latest.busy

    def follow(self) -> None:
        """Count the bins anew where gene, cells, regions or view are others than before."""
        session, shown, counted = self._desk.session, self._desk.shown, self._scores.counted
        if session is None or shown is None or shown.cutoffs is None or counted is None:
            self._forget()
            return
        if len(shown.values) < len(counted.centers_um):
            # Another gene is looked up; which of its cells count is told in a moment.
            self._forget()
            return
        values = shown.values[: len(counted.centers_um)]
        cells = histogram_cells(self._box.cells.where, counted, self._in_view(counted))
        preset = self._box.preset or shown.cutoffs
        about = (session, shown.name, preset)
        seen = (*about, len(values), shown.first.values, cells.where, cells.why, cells.index)
        if _same(seen, self._seen):
            return
        self._seen = seen
        if about != self._axis_of or len(values) > AXIS_HOLDS * self._axis_cells:
            self._axis, self._axis_of, self._axis_cells = None, about, len(values)
        title = f"{shown.first.name} · {session.model.name} · {shown.unit}"
        request = _Request(values, cells, title, self._axis, preset)
        self._latest.ask(lambda: _binned(request))
        self.changed.emit()

    def _in_view(self, counted: CountedCells) -> npt.NDArray[np.intp]:
        session = self._desk.session
        if session is None or self._box.cells.where != IN_VIEW:
            return np.zeros(0, np.intp)
        return session.table.in_rect(view_rect(self._viewer))

    def _forget(self) -> None:
        self._latest.drop()
        self._seen = ()
        self._box.cells.set_bins(None, "", "")

    def _on_counted(self, outcome: tuple[_Request, ValueBins]) -> None:
        request, bins = outcome
        self._axis = bins.axis
        cells = request.cells
        why = f"{cells.why}: " if cells.why else ""
        where = f" {cells.where}" if cells.why else ""
        self._box.cells.set_bins(bins, request.title, f"{why}{bins.n:,} cells{where}")
        self.changed.emit()


def _binned(request: _Request) -> tuple[_Request, ValueBins]:
    axis = request.axis or value_axis(request.values, request.cutoffs)
    return request, value_bins(request.values[request.cells.index], axis)


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """Whether two lists name the same things; arrays of other numbers are others."""
    if len(one) != len(other):
        return False
    return all(
        a is b
        or (
            np.array_equal(a, b)
            if isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
            else a == b
        )
        for a, b in zip(one, other, strict=True)
    )

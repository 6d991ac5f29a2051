"""The density map and the hot spots of what the table scores, kept in step with it."""

from __future__ import annotations

import napari
from qtpy.QtCore import QObject, Signal

from napari_past.plugin.densities import Densities, DensityRequest, find_densities
from napari_past.plugin.density_box import DensityBox
from napari_past.plugin.density_layers import DensityLayers
from napari_past.plugin.desk import Desk
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.timers import settling_timer
from napari_past.plugin.unscored import Unscored
from napari_past.plugin.viewport import fly_to
from napari_past.quality import QualityMask
from napari_past.stain import rules_of

_DEBOUNCE_MS = 400
_NO_CUTOFFS = "Without cut-offs no cell is positive, so there is no density of positive cells."


class DensityView(QObject):
    """Emits `changed` when other places are shown, or are looked for."""

    changed = Signal()

    def __init__(
        self,
        viewer: napari.Viewer,
        box: DensityBox,
        scores: RegionScores,
        unscored: Unscored,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._box, self._desk = viewer, box, desk
        self._scores, self._unscored = scores, unscored
        self._layers = DensityLayers(viewer)
        self._found: Densities | None = None
        self._asked: tuple[DensityRequest, QualityMask | None] | None = None
        """What was last looked for."""
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_found)
        self._timer = settling_timer(self, _DEBOUNCE_MS, self._find)
        box.changed.connect(self._find)
        box.flown_to.connect(self._on_flown_to)
        scores.changed.connect(self._on_scores)

    @property
    def busy(self) -> bool:
        return self._latest.busy or self._timer.isActive()

    @property
    def found(self) -> Densities | None:
        """What is drawn."""
        return self._found

    def forget(self) -> None:
        """There are no cells to look among."""
        self._timer.stop()
        self._latest.drop()
        self._asked = None
        self._show(None)

    def _request(self) -> DensityRequest | None:
        shown, session = self._desk.shown, self._desk.session
        if shown is None or session is None:
            return None
        return DensityRequest(
            gene=shown.resolved.label,
            model=session.table.model.name,
            cutoffs=shown.cutoffs,
            rules=rules_of(shown.resolved),
            of=self._box.map_of,
            hot_spots=self._box.spots.isChecked(),
            regions=self._scores.regions(),
            cells=len(shown.values),
        )

    def _on_scores(self) -> None:
        if not self._box.map_of and not self._box.spots.isChecked():
            return
        request = self._request()
        before = None if self._found is None else self._found.request
        if before is not None and (
            request is None or (request.gene, request.cutoffs) != (before.gene, before.cutoffs)
        ):
            # Nobody shall read the places of another gene, or of other cut-offs, meanwhile.
            self._asked = None
            self._show(None)
        # Its own layers make the table be scored anew, and that would have it look again.
        if not self._is_asked(request, self._unscored.used):
            self._timer.start()

    def _find(self) -> None:
        self._timer.stop()
        request, shown, session = self._request(), self._desk.shown, self._desk.session
        if request is None or shown is None or session is None or request.empty:
            self.forget()
            asked = request is not None and request.cells and (request.of or request.hot_spots)
            self._box.set_found(None, _NO_CUTOFFS if asked else "")
        else:
            # The table grows meanwhile, in the GUI thread: what it holds already never changes.
            values, centers = shown.values, session.table.centers_um[: request.cells]
            mask = self._unscored.used
            if self._is_asked(request, mask):
                # It counted as busy until now.
                self.changed.emit()
                return
            self._asked = request, mask

            def work() -> Densities:
                unscored = None if mask is None else mask.kind_at(centers) > 0
                return find_densities(request, values, centers, unscored)

            self._latest.ask(work)
        self.changed.emit()

    def _is_asked(self, request: DensityRequest | None, mask: QualityMask | None) -> bool:
        """Whether this is what was last looked for."""
        return self._asked is not None and self._asked[0] == request and self._asked[1] is mask

    def _on_found(self, found: Densities) -> None:
        self._show(found)
        self.changed.emit()

    def _show(self, found: Densities | None) -> None:
        self._found = found
        if found is None:
            self._layers.clear()
        else:
            self._layers.show(found)
        self._box.set_found(found)

    def _on_flown_to(self, number: int) -> None:
        if self._found is not None and number < len(self._found.spots):
            fly_to(self._viewer, self._found.spots[number].region.bounds)

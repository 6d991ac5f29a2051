"""Scores of the regions, worked out beside the GUI thread: colours do not wait for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_past.engine import MeasuredStain, origin_of_scores
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_box import score_note
from napari_past.plugin.session import Session
from napari_past.plugin.staining import Staining
from napari_past.plugin.tissue_area import counted_tissue_mm2, tiles_with_values
from napari_past.quality import QualityMask
from napari_past.stain import CountedCells, ScoreTable, count_cells, rules_of, score_counted
from napari_past.types import FloatArray, Region


@dataclass(frozen=True)
class Scored:
    """A table of scores and all that it stands on."""

    table: ScoreTable
    session: Session
    shown: Staining
    """Gene and cut-offs that were scored; it may have values that came since."""
    counted: CountedCells
    part: str
    """Which part of the slide was analysed."""
    quick: bool = False
    """Whether intervals and hot spots are still to come."""

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """(n,), of the cells of `counted`."""
        return self.shown.values[: len(self.counted.centers_um)]

    @property
    def origin(self) -> dict[str, str]:
        """What a file of these scores has to say of their values."""
        return origin_of_scores(self.session.model, self.shown.resolved, self.part)

    def is_of(self, session: Session | None, shown: Staining | None) -> bool:
        """Whether the scores are of this slide, gene and cut-offs; cells may have come since."""
        return (
            shown is not None
            and self.session is session
            and self.shown.resolved == shown.resolved
            and self.shown.cutoffs == shown.cutoffs
        )


@dataclass(frozen=True)
class _Counting:
    """What it depends on which cells count: not on the gene, nor on its cut-offs."""

    session: Session
    cells: int
    tiles_um: FloatArray
    """(m, 4), of all finished tiles."""
    waiting_um: FloatArray
    """(k, 2), centres of the cells that have no value yet."""
    regions: tuple[Region, ...]
    mask: QualityMask | None

    def same(self, other: _Counting) -> bool:
        return (
            self.session is other.session
            and self.cells == other.cells
            and len(self.tiles_um) == len(other.tiles_um)
            and self.mask is other.mask
            and self.regions == other.regions
        )

    def count(self, centers_um: FloatArray) -> CountedCells:
        mask, session = self.mask, self.session
        tissue = session.slide.tissue_mask(faint=isinstance(session.model, MeasuredStain))
        tiles_um = tiles_with_values(self.tiles_um, self.waiting_um)
        return count_cells(
            centers_um,
            self.regions,
            slide_area_mm2=counted_tissue_mm2(tissue, tiles_um, mask, self.regions),
            unscored=None if mask is None else mask.kind_at(centers_um) > 0,
            unscored_within=None if mask is None else mask.area_within,
            also_slide=True,
        )


@dataclass(frozen=True)
class _Outcome:
    scored: Scored
    counting: _Counting
    part: str
    """Told with the scores where they are of a part of the slide."""


class Scoring(QObject):
    """Emits `scored` when a table is ready; asking again before that replaces the question."""

    scored = Signal(object, str)
    """The `Scored`, or None, and what is to be told with it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_ready)
        self._known: _Outcome | None = None
        """Which cells count, as it was worked out last."""
        self.coming = False
        """Whether scores are on their way."""

    @property
    def busy(self) -> bool:
        return self._latest.busy

    @property
    def counted(self) -> CountedCells | None:
        """Which cells count; None while that is not known of the slide in view."""
        return None if self._known is None else self._known.scored.counted

    def ask(
        self,
        session: Session | None,
        shown: Staining | None,
        regions: tuple[Region, ...],
        mask: QualityMask | None,
        why_not: str,
        part: str,
    ) -> None:
        """Score the cells as they are now.

        Parameters
        ----------
        mask
            Cells in it are left out of every score.
        why_not
            Told in place of scores where the gene has none.
        part
            Which part of the slide the cells stand for; empty for all of it.
        """
        if self._known is not None and self._known.counting.session is not session:
            self._known = None
        self.coming = False
        if session is None or shown is None or not len(session.table) or shown.cutoffs is None:
            self._latest.drop()
            self.scored.emit(None, why_not if session is not None and len(session.table) else "")
            return
        if not len(shown.values):
            self._latest.drop()
            self.scored.emit(None, part)
            return
        # The table grows meanwhile, in the GUI thread: what it holds already never changes.
        values, cutoffs, n = shown.values, shown.cutoffs, len(shown.values)
        centers, waiting = session.table.centers_um[:n], session.table.centers_um[n:]
        rules, known, analysed = rules_of(shown.resolved), self._known, session.part
        counting = _Counting(session, n, session.tile_rects(), waiting, regions, mask)

        def work() -> _Outcome:
            if known is not None and known.counting.same(counting):
                counted = known.scored.counted
            else:
                counted = counting.count(centers)
            areas = None if mask is None else mask.area_mm2()
            scores = score_counted(counted, values, cutoffs, rules, unscored_area_mm2=areas)
            return _Outcome(Scored(scores, session, shown, counted, analysed), counting, part)

        self.coming = True
        self._latest.ask(work)

    def step(self, shown: Staining) -> None:
        """Score other cut-offs here and now, without intervals and hot spots, if it is known which
        cells count; what was asked for before is out of date."""
        known, self.coming = self._known, False
        self._latest.drop()
        if known is None or shown.cutoffs is None or len(shown.values) < known.counting.cells:
            self.scored.emit(None, "The scores follow when the cut-off rests.")
            return
        before = known.scored
        scores = score_counted(
            before.counted,
            shown.values[: known.counting.cells],
            shown.cutoffs,
            rules_of(shown.resolved),
            unscored_area_mm2=before.table.unscored_area_mm2,
            quick=True,
        )
        self._tell(replace(before, table=scores, shown=shown, quick=True), known.part)

    def _on_ready(self, outcome: _Outcome) -> None:
        self._known, self.coming = outcome, False
        self._tell(outcome.scored, outcome.part)

    def _tell(self, scored: Scored, part: str) -> None:
        gene, model = scored.shown.resolved.label, scored.session.model.name
        self.scored.emit(scored, f"{score_note(scored.table, gene, model)} {part}".strip())

"""Scores of the regions, worked out beside the GUI thread: colours do not wait for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import QObject, Signal

from napari_past.plugin.latest import Latest
from napari_past.plugin.region_box import score_note
from napari_past.plugin.session import Session
from napari_past.plugin.staining import Staining
from napari_past.plugin.tissue_area import counted_tissue_mm2
from napari_past.quality import QualityMask
from napari_past.stain import CountedCells, ScoreTable, count_cells, rules_of, score_counted
from napari_past.types import FloatArray, Region


@dataclass(frozen=True)
class _Counting:
    """What it depends on which cells count: not on the gene, nor on its cut-offs."""

    session: Session
    cells: int
    tiles_um: FloatArray
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
        mask = self.mask
        tissue = self.session.slide.tissue_mask()
        return count_cells(
            centers_um,
            self.regions,
            slide_area_mm2=counted_tissue_mm2(tissue, self.tiles_um, mask, self.regions),
            unscored=None if mask is None else mask.kind_at(centers_um) > 0,
            also_slide=True,
        )


@dataclass(frozen=True)
class _Outcome:
    scores: ScoreTable
    counting: _Counting
    counted: CountedCells
    tell: Callable[[ScoreTable], str]


class Scoring(QObject):
    """Emits `scored` when a table is ready; asking again before that replaces the question."""

    scored = Signal(object, str)
    """The `ScoreTable`, or None, and what is to be told with it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_ready)
        self._known: _Outcome | None = None
        """Which cells count, as it was worked out last."""

    @property
    def busy(self) -> bool:
        return self._latest.busy

    @property
    def counted(self) -> CountedCells | None:
        """Which cells count; None while that is not known of the slide in view."""
        return None if self._known is None else self._known.counted

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
        if session is None or shown is None or not len(session.table) or shown.cutoffs is None:
            self._latest.drop()
            self.scored.emit(None, why_not if session is not None and len(session.table) else "")
            return
        if not len(shown.values):
            self._latest.drop()
            self.scored.emit(None, part)
            return
        # The table grows meanwhile, in the GUI thread: what it holds already never changes.
        values, centers = shown.values, session.table.centers_um[: len(shown.values)]
        cutoffs, gene, model = shown.cutoffs, shown.resolved.label, session.table.model.name
        rules, known = rules_of(shown.resolved), self._known
        counting = _Counting(session, len(values), session.tile_rects(), regions, mask)

        def tell(scores: ScoreTable) -> str:
            return " ".join([score_note(scores, gene, model), part]).strip()

        def work() -> _Outcome:
            if known is not None and known.counting.same(counting):
                counted = known.counted
            else:
                counted = counting.count(centers)
            areas = None if mask is None else mask.area_mm2()
            scores = score_counted(counted, values, cutoffs, rules, unscored_area_mm2=areas)
            return _Outcome(scores, counting, counted, tell)

        self._latest.ask(work)

    def step(self, shown: Staining) -> None:
        """Score other cut-offs here and now, without intervals and hot spots, if it is known which
        cells count; what was asked for before is out of date."""
        known = self._known
        self._latest.drop()
        if known is None or shown.cutoffs is None or len(shown.values) < known.counting.cells:
            self.scored.emit(None, "The scores follow when the cut-off rests.")
            return
        scores = score_counted(
            known.counted,
            shown.values[: known.counting.cells],
            shown.cutoffs,
            rules_of(shown.resolved),
            unscored_area_mm2=known.scores.unscored_area_mm2,
            quick=True,
        )
        self.scored.emit(scores, known.tell(scores))

    def _on_ready(self, outcome: _Outcome) -> None:
        self._known = outcome
        self.scored.emit(outcome.scores, outcome.tell(outcome.scores))

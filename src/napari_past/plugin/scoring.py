"""Scores of the regions, worked out beside the GUI thread: colours do not wait for them."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal

from napari_past.engine import CellTable
from napari_past.plugin.latest import Latest
from napari_past.plugin.region_box import score_note
from napari_past.plugin.staining import Staining
from napari_past.quality import QualityMask
from napari_past.stain import ScoreTable, rules_of, score_table
from napari_past.types import Region


class Scoring(QObject):
    """Emits `scored` when a table is ready; asking again before that replaces the question."""

    scored = Signal(object, str)
    """The `ScoreTable`, or None, and what is to be told with it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._latest = Latest(self)
        self._latest.ready.connect(self._on_ready)

    @property
    def busy(self) -> bool:
        return self._latest.busy

    def ask(
        self,
        table: CellTable | None,
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
        if table is None or shown is None or not len(table) or shown.cutoffs is None:
            self._latest.drop()
            self.scored.emit(None, why_not if table is not None and len(table) else "")
            return
        if not len(shown.values):
            self._latest.drop()
            self.scored.emit(None, part)
            return
        # The table grows meanwhile, in the GUI thread: what it holds already never changes.
        values, centers = shown.values, table.centers_um[: len(shown.values)]
        cutoffs, gene, model = shown.cutoffs, shown.resolved.label, table.model.name
        rules = rules_of(shown.resolved)

        def work() -> tuple[ScoreTable, str]:
            unscored = None if mask is None else mask.kind_at(centers) > 0
            areas = None if mask is None else mask.area_mm2()
            scores = score_table(
                values, centers, cutoffs, regions,
                rules=rules, unscored=unscored, unscored_area_mm2=areas,
            )  # fmt: skip
            return scores, " ".join([score_note(scores, gene, model), part]).strip()

        self._latest.ask(work)

    def _on_ready(self, outcome: tuple[ScoreTable, str]) -> None:
        self.scored.emit(*outcome)

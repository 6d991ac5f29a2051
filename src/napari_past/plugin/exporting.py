"""Files of cells and of scores, written beside the GUI thread."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject

from napari_past.engine import Assay
from napari_past.io import write_score_csv
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.desk import Desk
from napari_past.plugin.export import export_cells
from napari_past.plugin.export_box import ExportBox
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.region_scores import RegionScores
from napari_past.plugin.unscored import Unscored


class Exporting(QObject):
    """Writes what the export box asks for."""

    def __init__(
        self,
        box: ExportBox,
        jobs: Jobs,
        scores: RegionScores,
        annotating: Annotating,
        unscored: Unscored,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._jobs, self._scores, self._desk = jobs, scores, desk
        self._annotating, self._unscored = annotating, unscored
        box.cells_to.connect(self.cells_to)
        box.scores_to.connect(self.scores_to)
        self._waiting: Path | None = None
        """Where scores go that are on their way."""
        scores.changed.connect(self._on_scored)

    def cells_to(self, path: str | Path) -> None:
        """Write the cells in the format of the suffix."""
        session, shown, target = self._desk.session, self._desk.shown, Path(path)
        if session is None:
            return
        if shown is None:
            show_warning(nothing_shown(session.model))
            return
        regions, mask = self._scores.regions(), self._unscored.mask
        notes = dict(self._annotating.cell_notes)

        def work(job: Job) -> int:
            cells = session.cells()
            cells.quality = mask
            export_cells(
                cells, shown.resolved, shown.cutoffs, target, regions, notes, session.mismatch
            )
            return len(cells)

        def done(n: object) -> None:
            show_info(f"Saved {n:,} cells to {target}.")

        self._jobs.run(work, f"Writing {target.name}", done)

    def scores_to(self, path: str | Path) -> None:
        """Write the scores of what is shown as CSV, once they are there."""
        target, scored = Path(path), self._scores.of_shown
        if scored is None:
            if self._scores.coming:
                self._waiting = target
            else:
                show_warning("There are no scores to export.")
            return
        table, origin = scored.table, scored.origin

        def work(job: Job) -> None:
            write_score_csv(table, target, origin, every_column=True)

        def done(nothing: object) -> None:
            show_info(f"Saved the scores to {target}.")

        self._jobs.run(work, f"Writing {target.name}", done)

    def _on_scored(self) -> None:
        if self._waiting is not None:
            target, self._waiting = self._waiting, None
            self.scores_to(target)


def nothing_shown(model: Assay) -> str:
    """Why no gene is shown, and what to do."""
    if not model.genes:
        return (
            f"{model.name} has no read-out, so nothing can be shown: load a model with one, or one "
            f"with a reference bank (`past-train bank`)."
        )
    return "No gene is shown: choose one first."

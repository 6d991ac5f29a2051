"""Files of cells, of scores and of regions, written beside the GUI thread."""

from __future__ import annotations

from pathlib import Path

from napari.utils.notifications import show_info, show_warning
from qtpy.QtCore import QObject

from napari_past.engine import Assay
from napari_past.io import write_regions, write_score_csv
from napari_past.plugin.annotating import Annotating
from napari_past.plugin.classing.probing import Probing
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
        probing: Probing,
        desk: Desk,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._jobs, self._scores, self._desk = jobs, scores, desk
        self._annotating, self._unscored, self._probing = annotating, unscored, probing
        box.cells_to.connect(self.cells_to)
        box.scores_to.connect(self.scores_to)
        box.regions_to.connect(self.regions_to)
        self._waiting: Path | None = None
        """Where scores go that are on their way."""
        scores.changed.connect(self._on_scored)

    def cells_to(self, path: str | Path, embed_image: bool = False) -> None:
        """Write the cells in the format of the suffix.

        Parameters
        ----------
        embed_image
            Whether a .zarr holds the slide's pixels, rather than their place.
        """
        session, shown, target = self._desk.session, self._desk.shown, Path(path)
        if session is None:
            return
        if shown is None:
            show_warning(nothing_shown(session.model))
            return
        regions, mask = self._scores.regions(), self._unscored.mask
        notes, columns = dict(self._annotating.cell_notes), self._annotating.core_columns
        classifier, view = self._probing.classifier, self._desk.view
        typing = None if view is None else view.typing
        cutoffs = shown.cutoffs
        if ".geojson" in target.name.lower() and typing and typing.source is self._probing:
            # A cell of QuPath has one classification: what is shown, and not a gene's.
            cutoffs = None

        def work(job: Job) -> int:
            cells = session.cells()
            cells.quality = mask
            cells.classifier = classifier
            export_cells(
                cells, shown.resolved, cutoffs, target, regions, notes, session.mismatch,
                session.slide, embed_image, job.tell, job.cancelled, columns,
            )  # fmt: skip
            return len(cells)

        def done(n: object) -> None:
            show_info(f"Saved {n:,} cells to {target}.")

        self._jobs.run(work, f"Writing {target.name}", done, stoppable=True)

    def regions_to(self, path: str | Path) -> None:
        """Write the regions as annotations that QuPath opens."""
        session, regions, target = self._desk.session, self._scores.regions(), Path(path)
        if session is None or not regions:
            show_warning("There are no regions to export; draw one with New regions layer first.")
            return
        mpp = session.slide.require_mpp()

        def work(job: Job) -> None:
            write_regions(regions, target, mpp)

        def done(nothing: object) -> None:
            show_info(f"Saved {len(regions):,} regions to {target}.")

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
        table, origin, columns = scored.table, scored.origin, self._annotating.core_columns

        def work(job: Job) -> None:
            write_score_csv(table, target, origin, every_column=True, columns=columns)

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

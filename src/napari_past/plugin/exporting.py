"""Files of cells and of scores, written beside the GUI thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from napari.utils.notifications import show_info, show_warning

from napari_past.io import write_score_csv
from napari_past.model import Model
from napari_past.plugin.export import export_cells
from napari_past.plugin.job import Job
from napari_past.plugin.jobs import Jobs
from napari_past.plugin.session import Session
from napari_past.plugin.staining import Staining
from napari_past.quality import QualityMask
from napari_past.stain import ScoreTable
from napari_past.types import Region


def cells_to_file(
    jobs: Jobs,
    session: Session | None,
    shown: Staining | None,
    regions: Sequence[Region],
    mask: QualityMask | None,
    notes: Mapping[str, str],
    target: Path,
) -> None:
    """Write the cells in the format of the suffix."""
    if session is None:
        return
    if shown is None:
        show_warning(nothing_shown(session.model))
        return

    def work(job: Job) -> int:
        cells = session.cells()
        cells.quality = mask
        export_cells(cells, shown.resolved, shown.cutoffs, target, regions, notes)
        return len(cells)

    def done(n: object) -> None:
        show_info(f"Saved {n:,} cells to {target}.")

    jobs.run(work, f"Writing {target.name}", done)


def scores_to_file(
    jobs: Jobs,
    session: Session | None,
    shown: Staining | None,
    scores: ScoreTable | None,
    target: Path,
) -> None:
    """Write the table of scores as CSV."""
    if scores is None or session is None or shown is None:
        show_warning("There are no scores to export.")
        return
    origin = session.origin_of_scores(shown.resolved)

    def work(job: Job) -> None:
        write_score_csv(scores, target, origin, every_column=True)

    jobs.run(work, f"Writing {target.name}",
             lambda _: show_info(f"Saved the scores to {target}."))  # fmt: skip


def nothing_shown(model: Model) -> str:
    """Why no gene is shown, and what to do."""
    if not model.genes:
        return (
            f"{model.name} has no read-out, so nothing can be shown: load a model with one, or one "
            f"with a reference bank (`past-train bank`)."
        )
    return "No gene is shown: choose one first."

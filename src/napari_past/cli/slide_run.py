"""One slide of ``napari-past run``: opened and checked, analysed, written."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from napari_past.brought import bring_cells
from napari_past.cells import BroughtCells, GivenCells, area_within
from napari_past.cli.brought_file import brought_file
from napari_past.cli.destination import CELLS_PER_MM2, Destination, check_room
from napari_past.cli.models import evidence_line
from napari_past.cli.option_values import SAME_MPP
from napari_past.cli.progress import ProgressLine
from napari_past.engine import (
    Assay,
    Cells,
    MeasuredStain,
    Plan,
    Store,
    Workers,
    analysed,
    look_of,
    make_plan,
    mismatch,
    unscored_of,
)
from napari_past.engine.cell_classes import class_note
from napari_past.engine.run import OnTile
from napari_past.errors import Cancelled, RegionError
from napari_past.io import read_regions, write_cells
from napari_past.io.provenance import KEY, MISMATCH
from napari_past.model import Model
from napari_past.model.classifier import CellClassifier
from napari_past.report.flags import unlike_lines, unreadable
from napari_past.slide import Slide, open_slide
from napari_past.tma import TmaGrid, add_cores, grid_in
from napari_past.types import Region

SHOWN_GENES = 12
FEW_TILES = 16
"""So many are done in this process by the time that workers would be ready: measured on two cores,
a tile of the default model takes 0.4 s, and starting workers 7 s."""
MANY_CELLS = 100_000
"""A table of more is written without workers beside it: both would take over 2 GB."""


@dataclass(frozen=True)
class Job:
    """One slide, open, checked and ready."""

    slide: Slide
    destination: Destination
    regions: tuple[Region, ...]
    brought: BroughtCells | None
    grid: TmaGrid | None
    """Where the regions are the cores of a tissue microarray."""


@dataclass(frozen=True)
class Outcome:
    """One slide that was analysed and written."""

    cells: int
    tiles: int
    unreadable_tiles: int
    area_mm2: float
    """Of tissue in the tiles, at most."""
    head: tuple[str, ...]
    """For the user: what made the values, and which they are."""
    lines: tuple[str, ...]
    """What was written, and what is to be minded."""
    unread: tuple[str, ...]
    """Sentences on what could not be read."""


class Places:
    """Where tiles run: the first few in this process, all others by workers, started once.

    Thread-safe.
    """

    def __init__(self, workers: Workers, at_address: bool) -> None:
        self.workers = workers
        self._at_address = at_address
        self._lock = threading.Lock()
        self._here = 0

    def for_tiles(self, missing: int) -> Workers | None:
        """The workers, or None where so many more tiles are done sooner here."""
        with self._lock:
            if self._at_address or self._here + missing > FEW_TILES:
                return self.workers
            self._here += missing
            return None


def rois_of(options: Namespace, destination: Destination) -> Path | None:
    """The file of regions of one slide."""
    own = destination.slide.rois
    given: Path | None = options.rois if own is None else own
    return given


def opened(
    options: Namespace, destination: Destination, stack: ExitStack
) -> tuple[Slide, tuple[Region, ...]]:
    """A slide that `stack` closes, and its regions.

    Raises
    ------
    SlideError, RegionError, BadTable
    """
    asked = destination.slide
    mpp = options.mpp if asked.mpp is None else asked.mpp
    series = options.series if asked.series is None else asked.series
    slide = stack.enter_context(open_slide(asked.place, mpp, series))
    slide_mpp = slide.require_mpp()
    area = area_within(slide, options.region)
    rois = rois_of(options, destination)
    if rois is None:
        return slide, ()
    regions = read_regions(rois, slide_mpp)
    limits = [region for region in regions if not region.ignored]
    if not regions:
        raise RegionError(f"{rois.name} holds no regions; export some annotations into it.")
    if limits and not any(region.bounds.intersects(area) for region in limits):
        raise RegionError(
            f"None of the {len(limits)} regions in {rois.name} touches {slide.name} or its "
            "--region; check that they were drawn on this slide and in its pixels."
        )
    return slide, regions


def job_of(options: Namespace, destination: Destination, stack: ExitStack) -> Job:
    """A slide that `stack` closes, with all that belongs to it.

    Raises
    ------
    SlideError, RegionError, BadTable
    """
    slide, regions = opened(options, destination, stack)
    file = brought_file(destination.slide, options.cells)
    brought = None if file is None else bring_cells(file, slide, key=options.cells_key)
    rois = rois_of(options, destination)
    grid = None if rois is None else grid_in(rois, slide.require_mpp())
    return Job(slide, destination, regions, brought, grid)


def analyse(
    job: Job,
    options: Namespace,
    model: Assay,
    symbols: Sequence[str],
    places: Places,
    on_tile: OnTile,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    classifier: CellClassifier | None = None,
    alone: bool = True,
) -> Outcome:
    """Analyse one slide and write its table.

    Parameters
    ----------
    on_tile, cancelled
        As `run_plan` has them.
    classifier
        Gives each cell of the table a class, where there is one.
    alone
        Whether no other slide is being analysed at the same time.

    Raises
    ------
    Cancelled, CannotWrite, WorkerFailed, SlideError
    """
    started_s = time.monotonic()
    slide, destination = job.slide, job.destination
    detector = options.detector if job.brought is None else GivenCells.of(job.brought)
    plan = make_plan(slide, model, detector, options.region, job.regions, options.device)
    area_mm2 = tissue_mm2(slide, plan)
    level = slide.levels[0]
    image_px = level.width_px * level.height_px if options.embed_image else 0
    expected = CELLS_PER_MM2 * area_mm2
    check_room(destination, expected, len(symbols), model.embed_dim, image_px)
    with ExitStack() as stack:
        root = None
        if options.no_cache:
            folder = tempfile.TemporaryDirectory(prefix="napari-past-", ignore_cleanup_errors=True)
            root = Path(stack.enter_context(folder))
        cells = Cells(plan, model, Store(plan.key, root))
        cells.classifier = classifier
        missing = len(plan.tiles) - len(cells.store.finished(plan.tiles))
        workers = places.for_tiles(missing)
        cells.compute(on_tile=on_tile, cancelled=cancelled, workers=workers)
        if len(cells) > MANY_CELLS and alone:
            places.workers.rest()
        cells.quality = unscored_of(slide, keep=root is None)
        check_room(destination, len(cells), len(symbols), model.embed_dim, image_px)
        measured = isinstance(model, MeasuredStain)
        mismatched = mismatch(look_of(slide), measured) if len(cells) else ""
        table = cells.to_anndata(symbols)
        if mismatched:
            table.uns[KEY][MISMATCH] = mismatched
        if job.grid is not None:
            add_cores(table, job.grid)
        write_cells(
            table,
            destination.file,
            destination.format,
            slide.require_mpp(),
            slide=slide,
            embed_image=options.embed_image,
            cancelled=cancelled,
        )
    seconds = time.monotonic() - started_s
    lines = [
        f"{destination.file}: {len(cells)} cells, {len(plan.tiles)} tiles, {seconds:.1f} s",
        f"  area   {analysed(plan, cells.excluded)}",
        *(
            f"  note   {n}"
            for n in [
                *_mpp_note(slide),
                *slide.faults,
                *_notes(cells, job.brought, mismatched),
            ]
        ),
    ]
    return Outcome(
        len(cells),
        len(plan.tiles),
        len(cells.unreadable),
        area_mm2,
        tuple(_head_lines(cells.model, symbols)),
        tuple(lines),
        tuple(unreadable(cells)),
    )


def compute(cells: Cells, name: str, kept: bool = True, workers: Workers | None = None) -> None:
    """Compute the tiles that are missing, with progress on stderr.

    Parameters
    ----------
    kept
        Whether finished tiles outlive the command.
    workers
        Where tiles run; None for this process.

    Raises
    ------
    Cancelled
        Ctrl-C.
    """
    progress = ProgressLine(name)
    try:
        cells.compute(on_tile=progress, workers=workers)
    except KeyboardInterrupt as exc:
        raise interrupted(progress, kept) from exc
    finally:
        progress.close()


def interrupted(progress: ProgressLine, kept: bool) -> Cancelled:
    """What is told when the tiles of a slide are stopped with Ctrl-C."""
    told = f"cancelled after {progress.done} of {progress.total} tiles of {progress.name}"
    after = "finished tiles are kept, and the same command goes on from there"
    return Cancelled(f"{told}; {after if kept else 'nothing was kept'}.")


def tissue_mm2(slide: Slide, plan: Plan) -> float:
    """Area of tissue that a plan covers, at most."""
    tiles_mm2 = sum(tile.size_um**2 for tile in plan.tiles) / 1e6
    area_mm2 = plan.area.width_um * plan.area.height_um / 1e6
    mask = slide.tissue_mask(isinstance(plan.model, MeasuredStain))
    return min(tiles_mm2, area_mm2, mask.area_mm2)


def _head_lines(model: Assay, symbols: Sequence[str]) -> list[str]:
    """What made the values, and which they are."""
    if isinstance(model, MeasuredStain):
        source = "" if model.stains is None else f" · {model.stains.source}"
        return [f"  stain  {model.name}{source}", f"  values {', '.join(symbols)}"]
    return [f"  model  {evidence_line(model)}", f"  genes  {_gene_line(symbols, model)}"]


def asked_notes(model: Assay, asked: list[str] | str | None) -> list[str]:
    """What is to be minded of the names that were asked for."""
    resolved = [model.resolve(name) for name in asked] if isinstance(asked, list) else []
    notes = [f"  note   {r.label}: {r.note}" for r in resolved if r.note]
    return list(dict.fromkeys(notes))  # a marker and its gene may both be asked for


def _notes(cells: Cells, brought: BroughtCells | None, mismatched: str) -> list[str]:
    notes = []
    if brought is not None:
        notes.append(f"The cells are those of {brought.source} ({brought.kind}).")
        notes += brought.notes
    if mismatched:
        measured = isinstance(cells.model, MeasuredStain)
        other = "stain-log" if measured else "ihc-nuclear (or ihc-membrane)"
        notes.append(f"{mismatched} Use --detector {other}.")
    if not cells.plan.tiles:
        empty = "No tissue was found there" if brought is None else "No cell lies there"
        notes.append(f"{empty}, so the table has no cells.")
    if cells.classifier is not None:
        notes.append(class_note(cells.classifier))
    return notes + unlike_lines(cells.slide_unlike_training, cells.unlike_training > 1)


def _mpp_note(slide: Slide) -> list[str]:
    """That the file knows better, perhaps: every size and density depends on it."""
    stated = slide.metadata.mpp
    if (
        not slide.mpp_given
        or stated is None
        or math.isclose(stated, slide.require_mpp(), rel_tol=SAME_MPP)
    ):
        return []
    return [
        f"{slide.name} states {stated:.4g} µm/px, but {slide.require_mpp():.4g} was given and used."
    ]


def _gene_line(symbols: Sequence[str], model: Model) -> str:
    if not model.genes:
        return f"none: {model.name} has no read-out; the table has the cells' vectors (X_past)"
    shown = ", ".join(symbols[:SHOWN_GENES]) or "none of the panel markers"
    more = f" and {len(symbols) - SHOWN_GENES} more" if len(symbols) > SHOWN_GENES else ""
    poor = sum(not model.reliability(gene).learnable for gene in symbols)
    return f"{shown}{more}" + (f" ({poor} not learnable)" if poor else "")

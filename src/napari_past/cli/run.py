"""``napari-past run``: cells and expression of slides, to files."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_past.cells import area_within, get_detector
from napari_past.cli.destination import (
    CELLS_PER_MM2,
    Destination,
    check_free,
    check_room,
    destinations,
    make_ready,
)
from napari_past.cli.models import evidence_line
from napari_past.cli.progress import ProgressLine
from napari_past.engine import (
    Cells,
    Plan,
    Store,
    Workers,
    analysed,
    chosen_genes,
    make_plan,
    unscored_of,
)
from napari_past.engine.run_tile import forget_slides
from napari_past.errors import Cancelled, PastError, RegionError, SlideError
from napari_past.genes import resolve
from napari_past.io import read_regions, write_cells
from napari_past.model import Model, load_model
from napari_past.slide import Slide, open_slide
from napari_past.types import RESEARCH_USE, Region

SHOWN_GENES = 12
FEW_TILES = 16
"""So many are done in this process by the time that workers would be ready: measured on two cores,
a tile of the default model takes 0.4 s, and starting workers 7 s."""
MANY_CELLS = 100_000
"""A table of more is written without workers beside it: both would take over 2 GB."""


@dataclass(frozen=True)
class Job:
    """One slide, checked and ready."""

    slide: Slide
    destination: Destination
    regions: tuple[Region, ...]


def execute(options: Namespace) -> int:
    """Check everything, then analyse slide after slide."""
    wanted = destinations(options.slides, options.out, options.format)
    inputs = [*options.slides, *([] if options.rois is None else [options.rois])]
    check_free(wanted, inputs, options.force)
    model = load_model(options.model, options.device)
    if options.scheduler is None:
        _check_device(options.device)
    symbols = chosen_genes(model, options.genes)
    get_detector(options.detector)
    with ExitStack() as stack:
        stack.callback(forget_slides)
        workers = Workers(options.scheduler, device=options.device, on_lost=_tell)
        stack.enter_context(workers)
        if options.scheduler is not None:
            workers.start()
        jobs: list[Job] = []
        failures: list[str] = []
        for destination in wanted:
            try:
                jobs.append(_job(options, destination, stack))
            except SlideError as exc:
                if len(wanted) == 1:
                    raise
                failures.append(f"{destination.slide.name}: {exc}")
        make_ready([job.destination for job in jobs], options.out)
        for job in jobs:
            try:
                failures += _analysed(job, options, model, symbols, workers)
            except Cancelled:
                raise
            except PastError as exc:
                if len(wanted) == 1:
                    raise
                failures.append(f"{job.slide.name}: {exc}")
    for failure in failures:
        _tell(failure)
    return 1 if failures else 0


def _tell(sentence: str) -> None:
    print(f"napari-past: {sentence}", file=sys.stderr)


def _check_device(device: str) -> None:
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise PastError("No CUDA GPU was found; use --device cpu (or auto).")


def _job(options: Namespace, destination: Destination, stack: ExitStack) -> Job:
    slide = stack.enter_context(open_slide(destination.slide, options.mpp, options.series))
    mpp = slide.require_mpp()
    area = area_within(slide, options.region)
    regions = () if options.rois is None else read_regions(options.rois, mpp)
    limits = [region for region in regions if not region.ignored]
    if options.rois is not None and not regions:
        raise RegionError(f"{options.rois.name} holds no regions; export some annotations into it.")
    if limits and not any(region.bounds.intersects(area) for region in limits):
        raise RegionError(
            f"None of the {len(limits)} regions in {options.rois.name} touches {slide.name} or its "
            "--region; check that they were drawn on this slide and in its pixels."
        )
    return Job(slide, destination, regions)


def _analysed(
    job: Job, options: Namespace, model: Model, symbols: Sequence[str], workers: Workers
) -> list[str]:
    """Analyse and write one slide, tell what was done, and return what could not be read."""
    started_s = time.monotonic()
    slide, destination = job.slide, job.destination
    plan = make_plan(slide, model, options.detector, options.region, job.regions, options.device)
    expected = CELLS_PER_MM2 * tissue_mm2(slide, plan)
    check_room(destination, expected, len(symbols), model.embed_dim)
    with ExitStack() as stack:
        root = None
        if options.no_cache:
            folder = tempfile.TemporaryDirectory(prefix="napari-past-", ignore_cleanup_errors=True)
            root = Path(stack.enter_context(folder))
        cells = Cells(plan, model, Store(plan.key, root))
        missing = len(plan.tiles) - len(cells.store.finished(plan.tiles))
        few = options.scheduler is None and missing <= FEW_TILES
        compute(cells, slide.name, kept=root is None, workers=None if few else workers)
        if len(cells) > MANY_CELLS:
            workers.rest()
        cells.quality = unscored_of(slide, keep=root is None)
        check_room(destination, len(cells), len(symbols), model.embed_dim)
        try:
            table = cells.to_anndata(symbols)
            write_cells(table, destination.file, destination.format, slide.require_mpp())
        except KeyboardInterrupt as exc:
            raise Cancelled(
                f"cancelled while {destination.file} was written; it is not there."
            ) from exc
    for line in _summary(cells, destination, options.genes, symbols, time.monotonic() - started_s):
        print(line)
    sys.stdout.flush()
    return unreadable(cells)


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
        told = f"cancelled after {progress.done} of {progress.total} tiles of {name}"
        after = "finished tiles are kept, and the same command goes on from there"
        raise Cancelled(f"{told}; {after if kept else 'nothing was kept'}.") from exc
    finally:
        progress.close()


def tissue_mm2(slide: Slide, plan: Plan) -> float:
    """Area of tissue that a plan covers, at most."""
    tiles_mm2 = sum(tile.size_um**2 for tile in plan.tiles) / 1e6
    area_mm2 = plan.area.width_um * plan.area.height_um / 1e6
    return min(tiles_mm2, area_mm2, slide.tissue_mask().area_mm2)


def unreadable(cells: Cells) -> list[str]:
    """One sentence where tiles could not be decoded."""
    if not cells.unreadable:
        return []
    first = ", ".join(f"{t.column},{t.row}" for t in cells.unreadable[:SHOWN_GENES])
    more = " …" if len(cells.unreadable) > SHOWN_GENES else ""
    return [
        f"{len(cells.unreadable)} of {len(cells.plan.tiles)} tiles of {cells.plan.slide_name} "
        f"could not be read (column,row: {first}{more}) and hold no cells; copy the slide again."
    ]


def _summary(
    cells: Cells,
    destination: Destination,
    asked: list[str] | str | None,
    symbols: Sequence[str],
    seconds: float,
) -> list[str]:
    plan, model = cells.plan, cells.model
    lines = [
        f"{destination.file}: {len(cells)} cells, {len(plan.tiles)} tiles, {seconds:.1f} s",
        f"  model  {evidence_line(model)}",
        f"  genes  {_gene_line(symbols, model)}",
        f"  area   {analysed(plan, cells.excluded)}",
    ]
    names = asked if isinstance(asked, list) else []
    resolved = [resolve(name, model.genes) for name in names]
    lines += [f"  note   {r.label}: {r.note}" for r in resolved if r.note]
    if not plan.tiles:
        lines.append("  note   No tissue was found there, so the table has no cells.")
    unlike = unlike_lines(cells.slide_unlike_training, cells.unlike_training > 1)
    lines += [f"  note   {line}" for line in unlike]
    return [*lines, f"  {RESEARCH_USE}"]


def unlike_lines(slide: str, flags: npt.NDArray[np.bool_]) -> list[str]:
    """What must be told where a slide, or cells of it, look unlike the training.

    Parameters
    ----------
    slide
        The sentence about the slide as a whole; empty where it is not flagged.
    flags
        (n,), the cells that are flagged.
    """
    lines = [slide] if slide else []
    flagged = int(np.count_nonzero(flags))
    if flagged:
        percent = 100 * flagged / len(flags)
        nearly = flagged < len(flags) and percent >= 99.5
        lines.append(
            f"{flagged} of {len(flags)} cells ({'over 99' if nearly else f'{percent:.0f}'} %) look "
            "unlike the training tissue; their values are the least certain."
        )
    return lines


def _gene_line(symbols: Sequence[str], model: Model) -> str:
    if not model.genes:
        return f"none: {model.name} has no read-out; the table has the cells' vectors (X_past)"
    shown = ", ".join(symbols[:SHOWN_GENES]) or "none of the panel markers"
    more = f" and {len(symbols) - SHOWN_GENES} more" if len(symbols) > SHOWN_GENES else ""
    poor = sum(not model.reliability(gene).learnable for gene in symbols)
    return f"{shown}{more}" + (f" ({poor} not learnable)" if poor else "")

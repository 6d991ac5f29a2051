"""``napari-past run``: cells and expression of slides, to files."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

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
    Assay,
    Cells,
    MeasuredStain,
    Plan,
    Store,
    Workers,
    analysed,
    chosen_genes,
    look_of,
    make_plan,
    mismatch,
    unscored_of,
)
from napari_past.engine.measured import assay_of
from napari_past.engine.run_tile import forget_slides
from napari_past.errors import Cancelled, PastError, RegionError, SlideError
from napari_past.io import read_regions, write_cells
from napari_past.io.provenance import KEY, MISMATCH
from napari_past.model import Model
from napari_past.report.flags import unlike_lines, unreadable
from napari_past.slide import Slide, open_slide
from napari_past.types import Region

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
    model = assay_of(options.model, get_detector(options.detector), options.device)
    if options.stain_vectors is not None:
        if not isinstance(model, MeasuredStain):
            raise PastError(
                f"--stain-vectors are of haematoxylin and DAB, but the detector {options.detector} "
                "is for H&E; use --detector ihc-nuclear or ihc-membrane."
            )
        model = replace(model, vectors=options.stain_vectors)
    if isinstance(model, MeasuredStain) and options.genes is not None:
        raise PastError(
            f"--genes are of predictions, but the detector {options.detector} has the stain "
            "measured; leave them out, and name the marker to `napari-past score --marker`."
        )
    if options.scheduler is None:
        _check_device(options.device)
    symbols = chosen_genes(model, options.genes)
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
    job: Job, options: Namespace, model: Assay, symbols: Sequence[str], workers: Workers
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
        measured = isinstance(model, MeasuredStain)
        mismatched = mismatch(look_of(slide), measured) if len(cells) else ""
        try:
            table = cells.to_anndata(symbols)
            if mismatched:
                table.uns[KEY][MISMATCH] = mismatched
            write_cells(table, destination.file, destination.format, slide.require_mpp())
        except KeyboardInterrupt as exc:
            raise Cancelled(
                f"cancelled while {destination.file} was written; it is not there."
            ) from exc
    seconds = time.monotonic() - started_s
    told = _summary(cells, destination, options.genes, symbols, seconds, mismatched)
    print("\n".join(told))
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
    mask = slide.tissue_mask(isinstance(plan.model, MeasuredStain))
    return min(tiles_mm2, area_mm2, mask.area_mm2)


def _summary(
    cells: Cells,
    destination: Destination,
    asked: list[str] | str | None,
    symbols: Sequence[str],
    seconds: float,
    mismatched: str,
) -> list[str]:
    plan, model = cells.plan, cells.model
    lines = [
        f"{destination.file}: {len(cells)} cells, {len(plan.tiles)} tiles, {seconds:.1f} s",
        *_value_lines(model, symbols),
        f"  area   {analysed(plan, cells.excluded)}",
    ]
    if mismatched:
        other = "stain-log" if isinstance(model, MeasuredStain) else "ihc-nuclear (or ihc-membrane)"
        lines.append(f"  note   {mismatched} Use --detector {other}.")
    names = asked if isinstance(asked, list) else []
    resolved = [model.resolve(name) for name in names]
    lines += [f"  note   {r.label}: {r.note}" for r in resolved if r.note]
    if not plan.tiles:
        lines.append("  note   No tissue was found there, so the table has no cells.")
    unlike = unlike_lines(cells.slide_unlike_training, cells.unlike_training > 1)
    lines += [f"  note   {line}" for line in unlike]
    return [*lines, f"  {model.research_use}"]


def _value_lines(model: Assay, symbols: Sequence[str]) -> list[str]:
    if isinstance(model, MeasuredStain):
        source = "" if model.stains is None else f" · {model.stains.source}"
        return [f"  stain  {model.name}{source}", f"  values {', '.join(symbols)}"]
    return [f"  model  {evidence_line(model)}", f"  genes  {_gene_line(symbols, model)}"]


def _gene_line(symbols: Sequence[str], model: Model) -> str:
    if not model.genes:
        return f"none: {model.name} has no read-out; the table has the cells' vectors (X_past)"
    shown = ", ".join(symbols[:SHOWN_GENES]) or "none of the panel markers"
    more = f" and {len(symbols) - SHOWN_GENES} more" if len(symbols) > SHOWN_GENES else ""
    poor = sum(not model.reliability(gene).learnable for gene in symbols)
    return f"{shown}{more}" + (f" ({poor} not learnable)" if poor else "")

"""``napari-past report``: one page for each slide, as HTML or PDF."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from napari_past.calibration.findings import findings_of_cells
from napari_past.cells import get_detector
from napari_past.cli.destination import check_free
from napari_past.cli.slide_list import is_spatialdata
from napari_past.cli.slide_run import FEW_TILES, compute
from napari_past.cli.table_findings import table_findings
from napari_past.engine import (
    Cells,
    Store,
    Workers,
    chosen_cutoffs,
    make_plan,
    unscored_of,
)
from napari_past.engine.measured import Assay, MeasuredStain, assay_of
from napari_past.engine.seam import forget_slides
from napari_past.errors import Cancelled, MissingCutoffs, PastError, RegionError
from napari_past.genes import markers
from napari_past.io import check_writable, read_regions
from napari_past.model import load_model
from napari_past.report import (
    Page,
    check_suffix,
    checked_case_code,
    numbered,
    slide_pages,
    write_report,
)
from napari_past.report.flags import unreadable
from napari_past.slide import open_slide
from napari_past.slide.omezarr import is_zarr_folder
from napari_past.slide.openslide import dicom_files
from napari_past.slide.place import is_remote, local_path, shown_name
from napari_past.slide.units import checked_mpp
from napari_past.types import Region

TABLES = (".h5ad", ".csv", ".geojson", ".parquet")
SLIDES = (".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".mrxs", ".zarr")
"""Suffixes that are taken from a folder of slides; of tables, only .h5ad is."""


def execute(options: Namespace) -> int:
    """Check everything, then make the pages of slide after slide, and write them together."""
    case = checked_case_code(options.case)
    out: Path = options.out
    check_suffix(out, case)
    paths = [path for given in options.inputs for path in _slides_of(given)]
    read = [*(local_path(place) for place in paths), options.rois]
    check_free([out], [file for file in read if file is not None], options.force)
    check_writable(out)
    _check_alone(options, paths)
    checked_mpp(options.mpp)
    pages: list[Page] = []
    failures: list[str] = []
    told = 0
    with ExitStack() as stack:
        stack.callback(forget_slides)
        maker = _PageMaker(options, case, stack)
        for path in paths:
            try:
                made, missing = maker.pages_of(path)
            except Cancelled:
                raise
            except PastError as exc:
                if len(paths) == 1:
                    raise
                failures.append(f"{shown_name(path)}: {exc}")
                continue
            pages += made
            failures += missing
            told += 1
    if not pages:
        raise PastError(f"No page could be made; the first mistake is {failures[0]}")
    write_report(numbered(pages), out)
    slides = "1 slide" if told == 1 else f"{told} slides"
    print(f"{out}: {len(pages)} page{'s' if len(pages) > 1 else ''} of {slides}")
    for sentence in dict.fromkeys(page.footer for page in pages):
        print(f"  {sentence}", flush=True)
    for failure in failures:
        print(f"napari-past: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _slides_of(given: str) -> list[str]:
    """`given` itself, or what a folder of slides and tables holds."""
    folder = None if is_remote(given) else local_path(given)
    if folder is None or not folder.is_dir() or is_zarr_folder(folder) or dicom_files(folder):
        return [given]
    wanted = (*SLIDES, TABLES[0])
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in wanted and p.name[0] != ".")
    if not found:
        raise PastError(
            f"The folder {folder} holds no slide ({', '.join(SLIDES)}) and no .h5ad table of "
            "cells; give a folder that does, or a file."
        )
    return [str(path) for path in found]


def _is_table(place: str) -> bool:
    if is_remote(place):
        return False
    path = Path(place)
    return path.suffix.lower() in TABLES or (path.is_dir() and is_spatialdata(path))


def _check_alone(options: Namespace, paths: Sequence[str]) -> None:
    if options.rois is not None and len(paths) > 1:
        raise RegionError(
            f"--rois {options.rois.name} was drawn on one slide, but {len(paths)} were given; "
            "report them one by one."
        )
    if options.cutoffs is not None and options.marker is not None and len(options.marker) > 1:
        raise PastError(
            f"--cutoffs are of one marker, but {len(options.marker)} were given; report them one "
            "by one."
        )


class _PageMaker:
    """Makes the pages of slides and tables with the same options; the model is loaded once."""

    def __init__(self, options: Namespace, case: str, stack: ExitStack) -> None:
        self._options, self._case, self._stack = options, case, stack
        self._loaded: tuple[Assay, Workers] | None = None

    def pages_of(self, path: str) -> tuple[tuple[Page, ...], list[str]]:
        """The pages, and sentences on what could not be read."""
        if _is_table(path):
            options = self._options
            model = None if options.model is None else load_model(options.model)
            findings = table_findings(
                Path(path),
                options.marker,
                options.cutoffs,
                lambda mpp: self._regions(options.mpp or mpp),
                model,
            )
            return slide_pages(replace(findings, case_code=self._case)), []
        return self._of_slide(path)

    def _assay(self) -> tuple[Assay, Workers]:
        if self._loaded is None:
            model = assay_of(self._options.model, get_detector(self._options.detector))
            model.require_readout()
            workers = Workers(on_lost=lambda told: print(f"napari-past: {told}", file=sys.stderr))
            self._loaded = model, self._stack.enter_context(workers)
        return self._loaded

    def _of_slide(self, path: str) -> tuple[tuple[Page, ...], list[str]]:
        options = self._options
        with open_slide(path, options.mpp, options.series) as slide:
            mpp = slide.require_mpp()
            regions = self._regions(mpp)
            model, workers = self._assay()
            asked = options.marker or [_first_of_panel(model)]
            for name in asked:  # a mistake is told before the work
                resolved = model.resolve(name)
                resolved.require_scorable()
                chosen_cutoffs(model, resolved, options.cutoffs)
            # Cells in Ignore* regions stay, so that the score can tell how many there are.
            limits = [region for region in regions if not region.ignored]
            plan = make_plan(slide, model, options.detector, None, limits)
            cells = Cells(plan, model, Store(plan.key))
            missing = len(plan.tiles) - len(cells.store.finished(plan.tiles))
            compute(cells, slide.name, workers=None if missing <= FEW_TILES else workers)
            cells.quality = unscored_of(slide)
            wanted = dict.fromkeys(asked, options.cutoffs)
            findings = findings_of_cells(cells, slide, wanted, regions, self._case)
            return slide_pages(findings), unreadable(cells)

    def _regions(self, mpp: float | None) -> tuple[Region, ...]:
        rois = self._options.rois
        if rois is None:
            return ()
        regions = read_regions(rois, mpp)
        if not regions:
            raise RegionError(f"{rois.name} holds no regions; export some annotations into it.")
        return regions


def _first_of_panel(model: Assay) -> str:
    """The first marker of the panel whose genes the model learned and has cut-offs for."""
    if isinstance(model, MeasuredStain):
        raise PastError("What a slide was stained for is not in its file; name it with --marker.")
    for marker in markers():
        known = set(marker.genes) <= set(model.genes)
        if (
            marker.scorable
            and known
            and all(
                model.reliability(gene).learnable and model.cutoffs(gene) is not None
                for gene in marker.genes
            )
        ):
            return marker.name
    raise MissingCutoffs(
        f"{model.name} has cut-offs for no marker of the panel; name one with --marker, and its "
        "cut-offs with --cutoffs A,B,C."
    )

"""``napari-past run``: cells and expression of slides, to files."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from napari_past.cells import get_detector
from napari_past.cli.archive import Archive
from napari_past.cli.destination import Destination, check_free, destinations, is_folder
from napari_past.cli.progress import ProgressLine
from napari_past.cli.run_options import DEFAULT_DETECTOR
from napari_past.cli.slide_list import AskedSlides, asked_slides
from napari_past.cli.slide_record import written_to
from napari_past.cli.slide_run import (
    Places,
    analyse,
    asked_notes,
    interrupted,
    job_of,
)
from napari_past.engine import Assay, MeasuredStain, Workers, chosen_genes
from napari_past.engine.cell_classes import require_assay
from napari_past.engine.measured import assay_of
from napari_past.engine.seam import forget_slides
from napari_past.errors import Cancelled, PastError
from napari_past.io import check_cells_writable
from napari_past.model.classifier import CellClassifier, read_classifier
from napari_past.slide.place import local_path


def execute(options: Namespace) -> int:
    """Check everything, then analyse slide after slide."""
    asked = asked_slides(options.slides, options.out)
    for note in asked.notes:
        _tell(note)
    many = asked.searched or len(asked.slides) > 1
    wanted = destinations(asked.slides, options.out, options.format, many)
    to_folder = is_folder(options.out, many)
    if not to_folder:
        check_free(written_to(wanted[0].file), _inputs(options, wanted[0]), options.force)
    _check_options(options, asked)
    model = _assay(options)
    symbols = chosen_genes(model, options.genes)
    classifier = _classifier(options, model)
    with ExitStack() as stack:
        stack.callback(forget_slides)
        archive = Archive(options, wanted, model, symbols, classifier) if to_folder else None
        on_lost = _tell if archive is None else archive.line.note
        workers = stack.enter_context(
            Workers(options.scheduler, device=options.device, on_lost=on_lost)
        )
        if options.scheduler is not None:
            workers.start()
        places = Places(workers, options.scheduler is not None)
        if archive is not None:
            return archive.run(places)
        return _one(options, wanted[0], model, symbols, places, classifier)


def _one(
    options: Namespace,
    destination: Destination,
    model: Assay,
    symbols: Sequence[str],
    places: Places,
    classifier: CellClassifier | None,
) -> int:
    """Analyse one slide to a file of its own."""
    with ExitStack() as stack:
        job = job_of(options, destination, stack)
        check_cells_writable(destination.file, destination.format)
        progress = ProgressLine(job.slide.name)
        try:
            outcome = analyse(job, options, model, symbols, places, progress, classifier=classifier)
        except KeyboardInterrupt as exc:
            if progress.total == 0:
                raise
            if progress.done < progress.total:
                raise interrupted(progress, not options.no_cache) from exc
            told = f"cancelled while {destination.file} was written; it is not there."
            raise Cancelled(told) from exc
        finally:
            progress.close()
    first, *others = outcome.lines
    print("\n".join([first, *outcome.head, *others, *asked_notes(model, options.genes)]))
    print(f"  {model.research_use}", flush=True)
    for sentence in outcome.unread:
        _tell(sentence)
    return 1 if outcome.unread else 0


def _tell(sentence: str) -> None:
    print(f"napari-past: {sentence}", file=sys.stderr)


def _inputs(options: Namespace, destination: Destination) -> list[Path]:
    place = destination.slide.place
    given = [local_path(place), options.rois, options.cells, options.classifier]
    return [path for path in given if path is not None]


def _check_options(options: Namespace, asked: AskedSlides) -> None:
    if options.embed_image and (options.format or options.out.suffix.lstrip(".")) != "zarr":
        raise PastError(
            "--embed-image puts the slide's pixels into a .zarr, but another format is written; "
            "leave it out, or give --format zarr."
        )
    cells = options.cells is not None or any(slide.cells for slide in asked.slides)
    if options.cells_key is not None and not cells:
        raise PastError("--cells-key names a part of --cells, but none were given.")


def _assay(options: Namespace) -> Assay:
    given = options.cells is not None and options.detector != DEFAULT_DETECTOR
    if given and not options.detector.startswith("ihc-"):  # these say that the stain is measured
        raise PastError(
            f"--cells brings the cells, so --detector {options.detector} has none to find; give "
            "one of the two."
        )
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
    if options.scheduler is None and options.device == "cuda":
        _check_cuda()
    return model


def _classifier(options: Namespace, model: Assay) -> CellClassifier | None:
    """The classifier that is asked for, of the vectors that the run gives."""
    if options.classifier is None:
        return None
    classifier = read_classifier(options.classifier)
    require_assay(classifier, model)
    return classifier


def _check_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise PastError("No CUDA GPU was found; use --device cpu (or auto).")

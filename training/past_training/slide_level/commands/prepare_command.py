r"""``past-train slide prepare``: a table of slides and patients to a cohort that is ready.

    past-train slide prepare patients.csv --slide file --patient id --time months --event died \
        --covariates age,stage --site hospital --out cohort
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import Cancelled, PastError
from past_training.slide_level.bags.folder import check_folder
from past_training.slide_level.commands.column_options import add_columns, columns_of

if TYPE_CHECKING:
    from napari_past.model import Model
    from past_training.slide_level.bags.prepared import Prepared
    from past_training.slide_level.bags.summaries import Reading
    from past_training.slide_level.cohort.cohort import Cohort
    from past_training.slide_level.commands.prepare_progress import PrepareProgress

_SHOWN_SLIDES = 20


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``prepare`` to the commands of ``past-train slide``."""
    parser = commands.add_parser(
        "prepare",
        help="check a table of slides and patients, encode the slides, summarise them",
        description="The table has a row for each slide (.csv, .tsv or .parquet). Vectors stay in "
        "the cache of results, shared with the viewer, unless --copy. Interrupted, the same "
        "command goes on.",
    )
    parser.add_argument("table", type=Path, metavar="TABLE")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    add_columns(parser)
    cells = parser.add_argument_group("cells")
    cells.add_argument(
        "--model", metavar="NAME|FILE",
        help="encodes the slides (default: past-mini); of tables of cells alone it is only needed "
        "for genes and types",
    )  # fmt: skip
    cells.add_argument("--detector", metavar="NAME", help="of nuclei; default: the viewer's")
    cells.add_argument(
        "--instances", choices=("cells", "tiles"), default="cells",
        help="each cell, or the mean of the cells of a square, always copied (default: cells)",
    )  # fmt: skip
    cells.add_argument(
        "--tile-um", type=float, default=128.0, metavar="UM", help="of the squares; default: 128"
    )
    cells.add_argument(
        "--copy", action="store_true", help="copy vectors, so that the cache may be cleared"
    )
    beside = parser.add_argument_group("summaries, and what else is known of the patients")
    beside.add_argument(
        "--classifier", type=Path, metavar="FILE", help="classes of cells, for the composition"
    )
    beside.add_argument(
        "--pathways", type=Path, metavar="FILE.gmt", help="sets of genes, as of MSigDB"
    )
    beside.add_argument(
        "--rna", type=Path, metavar="FILE", help="measured bulk RNA, patients by genes"
    )
    beside.add_argument(
        "--text", type=Path, metavar="FILE",
        help="a vector of each patient's report, of any model (.npz, .csv, .parquet)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N",
        help="tiles that are encoded at once; more than 1 starts processes (default: 1)",
    )  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: argparse.Namespace) -> int:
    """Check, encode, summarise; 0 when done, 1 with unreadable tiles, 130 when interrupted.

    Raises
    ------
    PastError
        A mistake of the user's, or a disk that is full.
    """
    columns = columns_of(options)
    if options.threads < 1:
        raise PastError(f"--threads is at least 1, but got {options.threads}.")
    if not 1 <= options.tile_um < math.inf:
        raise PastError(f"--tile-um is a side in µm of 1 or more, but got {options.tile_um:g}.")
    check_folder(options.out)
    # Only now: pandas and torch take seconds to load.
    from past_training.slide_level.cohort.read import read_cohort
    from past_training.slide_level.commands.prepare_progress import PrepareProgress

    cohort = read_cohort(options.table, columns, options.rna, options.text)
    cohort.require_slides()
    line = PrepareProgress(len(cohort.slides))
    try:
        prepared = _prepared(options, cohort, line)
    except (Cancelled, KeyboardInterrupt):
        line.close()
        print(
            f"past-train: cancelled after {line.done} of {len(cohort.slides)} slides; finished "
            f"tiles and slides are kept, and the same command goes on.",
            file=sys.stderr,
        )
        return 130
    finally:
        line.close()
    print("\n".join(_summary(prepared)))
    return 1 if any(slide.unreadable_tiles for slide in prepared.slides) else 0


def _prepared(options: argparse.Namespace, cohort: Cohort, watch: PrepareProgress) -> Prepared:
    from napari_past.engine import Workers
    from past_training.slide_level.bags.choices import Choices
    from past_training.slide_level.bags.prepare import prepare

    reading, notes = _reading(options, cohort)
    for note in notes:
        watch.note(note)
    choices = Choices(
        reading=reading,
        instances=options.instances,
        tile_um=options.tile_um,
        copy=options.copy,
        detector=options.detector,
        device=options.device,
    )
    with ExitStack() as stack:
        workers = None
        if options.threads > 1:
            # It tells of each process that comes and goes, in the middle of the line of progress.
            logging.getLogger("distributed").setLevel(logging.WARNING)
            workers = stack.enter_context(Workers(device=options.device, threads=options.threads))
        return prepare(cohort, options.out, choices, watch.watch, workers)


def _reading(options: argparse.Namespace, cohort: Cohort) -> tuple[Reading, list[str]]:
    from napari_past.engine import chosen_genes
    from napari_past.model.classifier import read_classifier
    from past_training.slide_level.bags.pathways import known_pathways, read_gmt
    from past_training.slide_level.bags.summaries import Reading

    sets = {} if options.pathways is None else read_gmt(options.pathways)
    classifier = None if options.classifier is None else read_classifier(options.classifier)
    model = _model(options, cohort)
    if model is None:
        if sets or classifier is not None:
            raise PastError(
                "Genes and classes are read of cells' vectors by the model that gave them; name it "
                "(--model)."
            )
        return Reading(), ["No --model is named, so no genes and no types are summarised."]
    if classifier is not None:
        classifier.require_model(model.name, model.known_sha256)
    pathways, notes = known_pathways(sets, model.genes) if sets else ({}, [])
    return Reading(model, tuple(chosen_genes(model, None)), pathways, classifier), notes


def _model(options: argparse.Namespace, cohort: Cohort) -> Model | None:
    """That was named; the default one where there are pictures to encode."""
    from napari_past.model import load_model
    from napari_past.model.zoo import DEFAULT_MODEL

    if options.model is not None:
        return load_model(options.model, options.device)
    if all(slide.is_table for slide in cohort.slides):
        return None
    return load_model(DEFAULT_MODEL, options.device)


def _summary(prepared: Prepared) -> list[str]:
    cohort, what = prepared.cohort, prepared.instances
    lines = [f"{prepared.folder}:"]
    for slide in prepared.slides[:_SHOWN_SLIDES]:
        counted = f"{slide.cells} cells"
        if what == "tiles":
            counted += f" in {slide.instances} tiles"
        out = ", ".join(f"{count} {reason}" for reason, count in slide.left_out.items())
        told = f"; left out: {out}" if out else ""
        lines.append(f"  {slide.name} ({slide.patient}): {counted}{told}")
    if len(prepared.slides) > _SHOWN_SLIDES:
        lines.append(f"  and {len(prepared.slides) - _SHOWN_SLIDES} more slides")
    events = "" if cohort.event is None else f", {int(cohort.event.sum())} events"
    cells = sum(slide.cells for slide in prepared.slides)
    lines.append(
        f"  patients {len(cohort)}{events}, slides {len(prepared.slides)}, cells {cells}, model "
        f"{prepared.model.name or 'not told'}, {len(prepared.summaries.columns)} numbers a patient"
    )
    lines += [f"  note   {note}" for note in (*cohort.notes, *prepared.notes)]
    return lines

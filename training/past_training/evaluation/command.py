"""``past-train evaluate``: a model beside its baselines, in one report."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import GeneError, PastError, UnknownGene
from napari_past.model import model_path
from past_training.dataset.schema import INFO
from past_training.evaluation.defaults import BASELINES, FOUNDATION, ROWS_LIMIT
from past_training.evaluation.output_files import check_free, report_files
from past_training.evaluation.typed import listed

if TYPE_CHECKING:
    from napari_past.model import Model
    from past_training.dataset.read import PairedDataset
    from past_training.dataset.splits import Fold
    from past_training.evaluation.gene_choice import AskedGenes


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``evaluate`` to the commands of past-train."""
    parser = commands.add_parser(
        "evaluate", help="measure a model beside its baselines on held-out sections"
    )
    parser.add_argument(
        "--model", required=True, nargs="+", metavar="NAME|FILE",
        help="a model; or the files of a cross-validation, of which each held-out section is read "
        "by the one that was not trained on it",
    )  # fmt: skip
    parser.add_argument("--data", required=True, metavar="DATASET", help="a paired dataset")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="REPORT", help="NAME.md or .html; both are made"
    )
    parser.add_argument(
        "--by", choices=("patient", "section", "block"), default="patient",
        help="what is held out in turn (default: patient; section where there is one patient); "
        "block: parts of a single section, which say nothing of another one",
    )  # fmt: skip
    parser.add_argument(
        "--buffer-um", type=float, metavar="X",
        help="with --by block: rows this near to a held-out one are not trained on (default: twice "
        "what the model sees around a nucleus)",
    )  # fmt: skip
    parser.add_argument(
        "--blocks", type=_positive, metavar="N",
        help="with --by block: how many blocks (default 4)",
    )  # fmt: skip
    parser.add_argument(
        "--genes", type=listed, metavar="A,B,…|all", help="to report beside those that are chosen"
    )
    parser.add_argument(
        "--baselines", type=listed, default=list(BASELINES), metavar="A,B,…",
        help=f"of {', '.join(BASELINES)} and {FOUNDATION}NAME (a timm or hub tower); none for none",
    )  # fmt: skip
    parser.add_argument(
        "--crc", type=Path, metavar="FOLDER",
        help="tiles of annotated nuclei (NAME.png beside NAME.json), to check single cells with",
    )  # fmt: skip
    parser.add_argument(
        "--rows", type=_positive, default=ROWS_LIMIT, metavar="N",
        help=f"most rows of a section to look at (default {ROWS_LIMIT})",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite a report that is there")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: Namespace) -> int:
    """Check everything, then evaluate and write the report."""
    if options.by != "block" and (options.buffer_um is not None or options.blocks is not None):
        raise PastError(
            f"--buffer-um and --blocks belong to --by block, but got --by {options.by}; add it, or "
            f"leave them out."
        )
    if options.blocks == 1:
        raise PastError("--blocks is at least 2, but got 1.")
    files = report_files(options.out)
    inputs = [*(model_path(name) for name in options.model), options.data]
    check_free(files, inputs, options.force)
    # Only now: zarr, and later torch and what draws, take seconds to load.
    from napari_past.model import load_model
    from past_training.dataset.read import open_dataset
    from past_training.dataset.splits import leave_out
    from past_training.evaluation.rows import all_rows
    from past_training.evaluation.towers import check_fits

    dataset = open_dataset(options.data)
    genes = _genes(options.genes, dataset)
    models = [load_model(name, options.device) for name in options.model]
    everything = all_rows(dataset, options.rows)
    check_fits(models, everything.rows)
    if options.by == "block":
        splits = list(_blocks(options, dataset, models))
    else:
        splits = list(leave_out(dataset, options.by))
    from past_training.evaluation.about_model import mean_expression, model_facts
    from past_training.evaluation.baselines import baselines
    from past_training.evaluation.marker_sets import marker_check, read_tiles
    from past_training.evaluation.predictors import ModelFile
    from past_training.evaluation.protocol import evaluate
    from past_training.evaluation.report import write_report
    from past_training.evaluation.told import result_lines

    tiles = read_tiles(options.crc) if options.crc is not None else []
    model = ModelFile(models)
    names = [] if options.baselines == ["none"] else options.baselines
    others, missing = baselines(names, models[0].card, model, options.device)
    found = evaluate(
        dataset, [model, *others], splits, genes, rows_limit=options.rows, on_step=_tell
    )
    checked = None
    if tiles:
        _tell("single cells")
        checked = marker_check(models[0], tiles, mean_expression(models[0], everything.rows))
    found = replace(found, model=model_facts(models), unavailable=tuple(missing), markers=checked)
    write_report(found, options.out)
    for line in result_lines(found):
        print(line)
    print(f"{files[0]} and {files[1].name}")
    return 0


def _blocks(options: Namespace, dataset: PairedDataset, models: Sequence[Model]) -> Iterator[Fold]:
    from past_training.dataset.blocks import BLOCKS, leave_block_out

    buffer_um = options.buffer_um
    if buffer_um is None:
        # The half of it for what is seen around a training row, the other around a held-out one.
        buffer_um = max(model.card.encoder.field_um for model in models)
    return leave_block_out(dataset, buffer_um, options.blocks or BLOCKS)


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above zero, but got {text!r}")
    return int(text)


def _genes(asked: Sequence[str] | None, dataset: PairedDataset) -> AskedGenes:
    """Symbols of what was typed: a marker stands for its genes."""
    if asked is None:
        return None
    if list(asked) == ["all"]:
        return "all"
    return list(dict.fromkeys(symbol for name in asked for symbol in _symbols(name, dataset)))


def _symbols(name: str, dataset: PairedDataset) -> tuple[str, ...]:
    from napari_past.genes import resolve

    with suppress(UnknownGene):
        return resolve(name, dataset.genes).symbols
    try:
        label = resolve(name).label
    except GeneError:
        # Nobody knows such a gene: names like it are told.
        return resolve(name, dataset.genes, holder=dataset.name).symbols
    shown = label if name.casefold() in label.casefold() else f"{label} ({name})"
    raise UnknownGene(
        f"{dataset.name} did not measure {shown}; choose another gene: the {len(dataset.genes)} "
        f"that it measured are listed in {dataset.place.url}/{INFO}."
    )

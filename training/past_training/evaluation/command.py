"""``past-train evaluate``: a model beside its baselines, in one report."""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from past_training.evaluation.defaults import BASELINES, FOUNDATION, ROWS_LIMIT

if TYPE_CHECKING:
    from napari_past.model import Model
    from past_training.dataset.read import PairedDataset
    from past_training.evaluation.gene_choice import AskedGenes
    from past_training.evaluation.result import ModelFacts


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
        "--by", choices=("patient", "section"), default="patient",
        help="what is held out in turn (default: patient; section where there is one patient)",
    )  # fmt: skip
    parser.add_argument(
        "--genes", type=_listed, metavar="A,B,…|all", help="to report beside those that are chosen"
    )
    parser.add_argument(
        "--baselines", type=_listed, default=list(BASELINES), metavar="A,B,…",
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
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: Namespace) -> int:
    """Check everything, then evaluate and write the report."""
    from napari_past.model import load_model
    from past_training.dataset.read import open_dataset
    from past_training.dataset.splits import leave_out
    from past_training.evaluation.baselines import baselines
    from past_training.evaluation.marker_sets import marker_check, read_tiles
    from past_training.evaluation.predictors import ModelFile
    from past_training.evaluation.protocol import evaluate
    from past_training.evaluation.report import report_files, write_report
    from past_training.evaluation.summary import MEAN_R, summary

    files = report_files(options.out)
    models = [load_model(name, options.device) for name in options.model]
    dataset = open_dataset(options.data)
    splits = list(leave_out(dataset, options.by))
    genes = _genes(options.genes, dataset)
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
        checked = marker_check(models[0], tiles, _expression(models[0], dataset, options.rows))
    found = replace(found, model=_facts(models), unavailable=tuple(missing), markers=checked)
    write_report(found, options.out)
    for name in found.predictors:
        result = summary(found, name, MEAN_R)
        told = f"mean r {result.mean:.3f} on {len(result.points)} of {result.of} sections"
        print(f"{name}: {told if result.points else 'trained on every section: not compared'}")
    print(f"{files[0]} and {files[1].name}")
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _listed(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise argparse.ArgumentTypeError("expected names with commas between them")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above zero, but got {text!r}")
    return int(text)


def _genes(asked: Sequence[str] | None, dataset: PairedDataset) -> AskedGenes:
    """Symbols of what was typed: a marker stands for its genes."""
    from napari_past.genes import resolve

    if asked is None:
        return None
    if list(asked) == ["all"]:
        return "all"
    found = [resolve(name, dataset.genes, holder=dataset.name).symbols for name in asked]
    return list(dict.fromkeys(symbol for symbols in found for symbol in symbols))


def _expression(model: Model, dataset: PairedDataset, limit: int) -> dict[str, float]:
    """Mean measured log1p(counts per 10k) of each gene of the model that was measured."""
    from past_training.evaluation.genes import mean_and_deviation
    from past_training.evaluation.predictors import model_symbols
    from past_training.evaluation.rows import section_rows

    parts = [section_rows(dataset, record.name, limit).sparse for record in dataset.sections]
    mean, _ = mean_and_deviation(parts)
    place = {gene: i for i, gene in enumerate(dataset.genes)}
    symbols = model_symbols(model, dataset.genes)
    return {symbol: float(mean[place[gene]]) for gene, symbol in symbols.items()}


def _facts(models: Sequence[Model]) -> ModelFacts:
    from past_training.evaluation.result import ModelFacts

    card = models[0].card
    return ModelFacts(
        card.name,
        card.version,
        tuple(model.sha256 for model in models),
        card.licence,
        card.attribution,
        card.training_data,
        card.expression_unit,
    )

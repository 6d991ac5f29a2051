"""The commands and their options."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from napari_past import __version__
from napari_past.cli.classify_options import add_classify_options
from napari_past.cli.option_values import cutoffs, gene_names, marker_names, series, um_per_px
from napari_past.cli.run_options import DEFAULT_DETECTOR, DEFAULT_MODEL, add_run_options
from napari_past.cli.validate_options import add_matched_options, add_tissue_options
from napari_past.types import RESEARCH_USE


class OneLineParser(argparse.ArgumentParser):
    """Tells a mistake in one line, as every other mistake is told."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"napari-past: {message}; see `{self.prog} --help`.\n")


def command_parser() -> argparse.ArgumentParser:
    """The parser of `napari-past`; ``options.command`` names the module that does the work."""
    root = OneLineParser(
        prog="napari-past",
        description="Virtual staining of H&E slides: single-cell gene expression, predicted.",
        epilog=RESEARCH_USE,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"napari-past {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = _command(commands, "demo", "do the whole job on a drawn sample, or on a slide")
    demo.add_argument("slide", nargs="?", type=Path, metavar="SLIDE")
    demo.add_argument("--out", type=Path, default=Path("demo-output"), metavar="FOLDER")
    _mpp_option(demo)

    view = _command(commands, "view", "open a slide in napari with the virtual staining widget")
    view.add_argument("slide", metavar="SLIDE")
    _slide_options(view)

    info = _command(commands, "info", "levels, size, µm/px, vendor, and what is missing")
    info.add_argument("slide", metavar="SLIDE")
    info.add_argument("--json", action="store_true", help="for programs")
    _slide_options(info)

    run = _command(commands, "run", "find the cells of slides and predict their expression")
    add_run_options(run)
    _slide_options(run)
    add_classify_options(
        _command(commands, "classify", "fit classes of cells to labelled ones, and apply them"),
        _command,
    )
    _add_tma(commands)
    _add_score(commands)
    _add_calibrate(commands)
    _add_validate(commands)
    _add_report(commands)

    _add_cache(commands)

    _add_models(commands)
    return root


def _add_models(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    models = _command(
        commands, "models", "list models, fetch one, or show what one says about itself"
    )
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    _command(actions, "list", "the models that are installed")
    card = _command(actions, "card", "training data, evidence and licence of a model")
    card.add_argument("model", metavar="NAME", help="a model's name or path")
    card.add_argument("--json", action="store_true", help="the whole card, for programs")
    evidence = _command(
        actions, "evidence", "which evidence a model's badges show: its own, or this lab's"
    )
    evidence.add_argument("model", metavar="NAME", help="a model's name or path")
    source = evidence.add_mutually_exclusive_group()
    source.add_argument(
        "--use",
        type=Path,
        metavar="FILE.json",
        help="make a validation file of `napari-past validate` this lab's evidence",
    )
    source.add_argument("--own", action="store_true", help="go back to the model's own evidence")
    fetch = _command(actions, "fetch", "get the published weights of a model or a detector")
    fetch.add_argument("name", metavar="NAME", help="past, a model; or instanseg, a detector")
    fetch.add_argument(
        "--from",
        dest="source",
        metavar="FILE|URL",
        help="the published file, or its address; without it, where it is published (the hub, or a "
        "mirror, HF_ENDPOINT)",
    )
    fetch.add_argument("--sha256", metavar="HEX", help="that the file must have")
    fetch.add_argument(
        "--mpp",
        type=um_per_px,
        metavar="M",
        help="µm/px that the image tower reads, where it is known better than the assumption",
    )


def _add_tma(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    tma = _command(commands, "tma", "find the cores of a tissue microarray")
    tma.add_argument("slide", metavar="SLIDE")
    tma.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="GRID.geojson",
        help="the cores as QuPath has them; `run --rois` and `score --rois` take it",
    )
    tma.add_argument(
        "--diameter",
        type=float,
        metavar="UM",
        help="of a core; without it, estimated",
    )
    tma.add_argument("--cases", type=Path, metavar="FILE.csv", help="which case lies in which core")
    tma.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="also draw the cores on the slide"
    )
    _slide_options(tma)
    tma.add_argument("--force", action="store_true", help="overwrite what is there")


def _add_cache(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    cache = _command(commands, "cache", "show or remove the finished tiles that are kept")
    actions = cache.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _command(actions, "list", "analysed slides, with their size and last use")
    listing.add_argument("--json", action="store_true", help="for programs")
    clear = _command(actions, "clear", "remove the tiles of some slides, or of all")
    clear.add_argument(
        "names", nargs="*", metavar="NAME|KEY", help="slides or keys, as `cache list` shows them"
    )
    clear.add_argument("--all", action="store_true", help="of every slide, without asking")


def _add_score(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    score = _command(commands, "score", "counts of 0, 1+, 2+, 3+ and the pseudo-H-score by region")
    score.add_argument(
        "cells",
        type=Path,
        metavar="CELLS",
        help='.h5ad with X[:, GENE] and obsm["spatial"] in µm, or .csv with x_um, y_um and GENE',
    )
    score.add_argument("--marker", required=True, metavar="GENE", help="a gene or marker")
    score.add_argument(
        "--cutoffs",
        type=cutoffs,
        metavar="A,B,C",
        help="ascending, in the values' own unit; without it, those of the file or the model card",
    )
    score.add_argument("--rois", type=Path, metavar="FILE.geojson", help="QuPath annotations")
    score.add_argument(
        "--mpp", type=um_per_px, metavar="M", help="µm per level-0 pixel of the slide, for --rois"
    )
    score.add_argument(
        "--include-unscored",
        action="store_true",
        help="score cells too that the table marks as not to be scored (blur, pen, fold …)",
    )
    score.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="that made the values, for the calibrations in its card; not needed where it ships",
    )
    score.add_argument(
        "--out",
        type=Path,
        metavar="FILE.csv",
        help="the table as CSV, in place of one that is there",
    )


def _add_report(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    report = _command(commands, "report", "one page for each slide, as HTML or PDF")
    report.add_argument(
        "inputs",
        nargs="+",
        metavar="SLIDE|CELLS",
        help="slides, tables of cells, or folders of them; finished tiles are used",
    )
    report.add_argument("--out", type=Path, required=True, metavar="FILE.html|.pdf")
    report.add_argument(
        "--marker",
        type=marker_names,
        metavar="M,…",
        help="genes or markers; without it, the first of the panel that is learnable",
    )
    report.add_argument(
        "--rois", type=Path, metavar="FILE.geojson", help="QuPath annotations of the one slide"
    )
    report.add_argument(
        "--cutoffs",
        type=cutoffs,
        metavar="A,B,C",
        help="of the one marker; without it, those of the file or the model card",
    )
    report.add_argument(
        "--case", default="", metavar="CODE", help="shown large beside the slide's fingerprint"
    )
    report.add_argument(
        "--model", metavar="NAME|PATH", help=f"for H&E; without it, {DEFAULT_MODEL}"
    )
    report.add_argument(
        "--detector",
        default=DEFAULT_DETECTOR,
        metavar="NAME",
        help="for slides: ihc-nuclear or ihc-membrane for real IHC, whose DAB is measured",
    )
    _slide_options(report)
    report.add_argument("--force", action="store_true", help="overwrite what is there")


def _add_calibrate(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    calibrate = _command(
        commands, "calibrate", "fit a monotone map from predicted values to a real stain"
    )
    calibrate.add_argument(
        "table",
        type=Path,
        metavar="TABLE.csv",
        help="matched regions: patient, region, predicted, measured; or files of slides: patient, "
        "predicted_cells, predicted_rois, measured_cells, measured_rois or landmarks",
    )
    add_matched_options(calibrate)
    calibrate.add_argument("--marker", required=True, metavar="M", help="a gene or marker")
    calibrate.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME|PATH")
    calibrate.add_argument("--clone", default="", metavar="NAME", help="of the antibody")
    calibrate.add_argument("--scanner", default="", metavar="NAME", help="of the stained slides")
    calibrate.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    calibrate.add_argument(
        "--card",
        type=Path,
        metavar="FILE.safetensors",
        help="also write the model anew, with the calibration in its card",
    )
    calibrate.add_argument(
        "--regions-out", type=Path, metavar="FILE.csv", help="also write the matched rows"
    )


def _add_validate(commands: argparse._SubParsersAction[OneLineParser]) -> None:
    validate = _command(
        commands,
        "validate",
        "hold predictions against measured tissue, or a calibration against other regions",
    )
    validate.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="SLIDE MEASURED, the H&E and what was measured on it; or TABLE.csv, a table of "
        "several sections with the columns slide, measured, and any of patient, kind, section, "
        "unit, x, y, layer, types, spot_diameter, alignment, affine, landmarks, rois, mpp, "
        "predictions; or, with --calibration, of matched regions",
    )
    validate.add_argument("--out", type=Path, required=True, metavar="FILE.html|.md")
    validate.add_argument(
        "--genes", type=gene_names, metavar="A,B,…", help="genes or markers to be told of"
    )
    add_tissue_options(validate)
    validate.add_argument("--calibration", type=Path, metavar="FILE.json")
    add_matched_options(validate)
    validate.add_argument(
        "--seen-patients",
        action="store_true",
        help="go on, and tell it, where patients were calibrated on",
    )


def _command(
    commands: argparse._SubParsersAction[OneLineParser], name: str, summary: str
) -> OneLineParser:
    described = f"{summary[0].upper()}{summary[1:]}."
    return commands.add_parser(
        name, help=summary, description=described, epilog=RESEARCH_USE, allow_abbrev=False
    )


def _mpp_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mpp", type=um_per_px, metavar="M", help="µm per level-0 pixel; overrides the file's own"
    )


def _slide_options(parser: argparse.ArgumentParser) -> None:
    _mpp_option(parser)
    parser.add_argument(
        "--series", type=series, metavar="N|NAME", help="which image of a file that holds several"
    )


def joined_negatives(arguments: Sequence[str]) -> list[str]:
    """``--cutoffs -1,0,1`` as ``--cutoffs=-1,0,1``: argparse takes the former for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("--cutoffs", "--region") and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined

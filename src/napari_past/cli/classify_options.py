"""Options of ``napari-past classify``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from napari_past.cli.run_options import FORMATS

BY_SLIDE = "slide"
MakeCommand = Callable[..., argparse.ArgumentParser]


def add_classify_options(classify: argparse.ArgumentParser, command: MakeCommand) -> None:
    """``fit`` and ``apply``; `command` makes a parser of one."""
    actions = classify.add_subparsers(dest="action", required=True, metavar="ACTION")
    fit = command(actions, "fit", "fit a classifier to cells that have a label in their table")
    fit.add_argument(
        "tables",
        nargs="+",
        type=Path,
        metavar="TABLE",
        help="of `napari-past run`, with the cells' vectors (.h5ad, .zarr or .parquet) and a "
        "column of labels; cells without a label are left out",
    )
    fit.add_argument("--labels", required=True, metavar="COLUMN", help="that names the classes")
    fit.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="as mine.past-classes.json"
    )
    fit.add_argument("--name", metavar="NAME", help="of the classifier; without it, that of --out")
    fit.add_argument(
        "--group",
        default=BY_SLIDE,
        metavar=f"{BY_SLIDE}|COLUMN",
        help="what is left out in turn to check it, as a column of patients; without it, slides",
    )
    fit.add_argument("--force", action="store_true", help="overwrite what is there")
    apply = command(actions, "apply", "give each cell of a table a class")
    apply.add_argument("table", type=Path, metavar="TABLE", help="with the cells' vectors")
    apply.add_argument("--classifier", type=Path, required=True, metavar="FILE")
    apply.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="TABLE2",
        help=f"the table with the classes ({', '.join('.' + f for f in FORMATS)})",
    )
    apply.add_argument("--force", action="store_true", help="overwrite what is there")

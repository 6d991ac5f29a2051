"""``past-train pretrain --recipe``: a model file from a recipe and its data, with its report."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from napari_past.errors import PastError
from past_training.release.out import check_outs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``pretrain`` to the commands of past-train."""
    parser = commands.add_parser(
        "pretrain",
        help="train a model from scratch, by a recipe or by PAST's launch line",
        description="By a recipe: a model file with its card, measured on held-out sections. With "
        "--exp-name instead of --recipe: an image and a cell tower on a paired dataset, on any "
        "number of processes; `past-train pretrain --exp-name X --help` tells those options.",
    )
    parser.add_argument("--recipe", default="past-mini", help="name or TOML file")
    parser.add_argument(
        "--data", type=Path, required=True,
        help="the folder that holds the recipe's data, or the dataset that was prepared of them",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument(
        "--no-evidence", action="store_true",
        help="skip the held-out folds; the card then says that nothing was measured",
    )  # fmt: skip
    parser.add_argument(
        "--crc", type=Path, metavar="FOLDER",
        help="tiles of annotated nuclei, to check single cells with, for the report",
    )  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: argparse.Namespace) -> int:
    """Train, and write the model file, its page and its report."""
    check_outs(options.out, [], options.force, report=not options.no_evidence)
    if not options.data.is_dir():
        raise PastError(f"--data {options.data} is not a folder; give the one that holds the data.")
    # Only now: torch and what draws take many seconds to load.
    from past_training.evaluation.marker_sets import read_tiles
    from past_training.release.pretrain import pretrain
    from past_training.release.recipe import load_recipe

    recipe = load_recipe(options.recipe)
    card = pretrain(
        recipe,
        options.data,
        options.out,
        evidence=not options.no_evidence,
        tiles=read_tiles(options.crc) if options.crc is not None else (),
        device=options.device,
        on_step=logging.info,
    )
    print(f"{options.out}: {card.name}, {len(card.genes)} genes")
    return 0

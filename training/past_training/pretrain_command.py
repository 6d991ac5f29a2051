"""``past-train pretrain --recipe``: a model file from a recipe and its data."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from napari_past.errors import PastError


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
    parser.add_argument("--data", type=Path, required=True, help="folder with the recipe's data")
    parser.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    parser.add_argument(
        "--no-evidence", action="store_true",
        help="skip the held-out folds; the card then says that nothing was measured",
    )  # fmt: skip


def execute(options: argparse.Namespace) -> int:
    """Train, and write the model file and its report."""
    from past_training.pretrain import pretrain
    from past_training.recipe import load_recipe

    recipe = load_recipe(options.recipe)
    if options.out.suffix != ".safetensors" or not options.out.parent.is_dir():
        raise PastError(f"--out {options.out} must be a .safetensors file in a folder that exists.")
    if not options.data.is_dir():
        raise PastError(f"--data {options.data} is not a folder; give the one that holds the data.")
    card = pretrain(recipe, options.data, options.out, not options.no_evidence, logging.info)
    print(f"{options.out}: {card.name}, {len(card.genes)} genes")
    return 0

"""``past-train``: the training package's command line."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from napari_past.errors import PastError

EXTRA = "napari-past[training]"


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    root = argparse.ArgumentParser(prog="past-train", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True)
    pretrain = commands.add_parser(
        "pretrain",
        help="train a model from scratch by a recipe and measure it on held-out sections",
    )
    pretrain.add_argument("--recipe", default="past-mini", help="name or TOML file")
    pretrain.add_argument("--data", type=Path, required=True, help="folder with the recipe's data")
    pretrain.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    pretrain.add_argument(
        "--no-evidence", action="store_true",
        help="skip the held-out folds; the card then says that nothing was measured",
    )  # fmt: skip
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0, 2 for a mistake, 130 when interrupted)."""
    # Before the options are read: who lacks the extra is told so whatever was typed.
    if importlib.util.find_spec("lightning") is None:
        print(f"past-train needs the training extra: pip install '{EXTRA}'.", file=sys.stderr)
        return 2
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return _pretrain(options)
    except PastError as exc:
        print(f"past-train: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("past-train: cancelled; nothing was written.", file=sys.stderr)
        return 130


def _pretrain(options: argparse.Namespace) -> int:
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


if __name__ == "__main__":
    sys.exit(main())

"""``past-train tower``: any published image tower as a model, to fit a read-out on."""

from __future__ import annotations

import argparse
from pathlib import Path

from past_training.release.out import check_outs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tower`` to the commands of past-train."""
    from past_training.engine.known_towers import KNOWN_TOWERS

    parser = commands.add_parser(
        "tower",
        help="make a model of a published image tower, to fit a read-out on",
        description="Writes a model file with its card and its page (NAME.card.md) that holds a "
        "frozen image tower and no read-out: past-train finetune --how head fits one.",
    )
    parser.add_argument(
        "tower", metavar="NAME",
        help=f"one of {', '.join(KNOWN_TOWERS)}; or a name of timm; or hf-hub:OWNER/NAME",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    parser.add_argument(
        "--mpp", type=float, metavar="M",
        help="µm/px that the tower reads (default: what its authors say, where that is known)",
    )  # fmt: skip
    parser.add_argument("--name", metavar="N", help="of the model; default: the file's")
    parser.add_argument(
        "--card", type=Path, metavar="FILE.toml",
        help="the card's statements: licence, attribution, summary, training_data …",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument(
        "--random", action="store_true", help="with weights drawn by lot, for trials"
    )


def execute(options: argparse.Namespace) -> int:
    """Get the tower, write the model."""
    check_outs(options.out, [], options.force, report=False)
    # Only now: torch and timm take many seconds to load.
    from past_training.engine.frozen_tower import frozen_tower
    from past_training.release.tower import tower_statements, write_tower

    name = options.name or options.out.stem
    statements = tower_statements(options.tower, name, options.card, random=options.random)
    tower = frozen_tower(options.tower, options.mpp, random=options.random)
    made = write_tower(tower, options.out, statements)
    encoder = made.card.encoder
    print(
        f"{options.out}: {made.name}, crops of {encoder.crop_px} px at {encoder.mpp:g} µm/px, "
        f"{made.embed_dim} numbers a cell"
    )
    print("It predicts no gene yet: past-train finetune --how head fits a read-out.")
    return 0

"""``past-train export``: the weights of a pretraining run as a model file."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from past_training.release.finetune_command import add_card_arguments
from past_training.release.out import check_outs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the commands of past-train."""
    parser = commands.add_parser(
        "export",
        help="make a model file of the weights of a pretraining run",
        description="Writes a model file with its card and its page (NAME.card.md): the run's "
        "image tower, and a read-out fitted to the run's training tissue. What the run held out "
        "tells how well it predicts, beside baselines, in a report (NAME.md, NAME.html).",
    )
    parser.add_argument(
        "--weights", type=Path, required=True, metavar="FILE",
        help="best.safetensors or last.safetensors of past-train pretrain --exp-name",
    )  # fmt: skip
    parser.add_argument("--data", required=True, metavar="DATASET", help="the run's dataset")
    parser.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    add_card_arguments(parser)
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: argparse.Namespace) -> int:
    """Read the run, fit and measure a read-out, write."""
    check_outs(options.out, [options.weights, options.data], options.force)
    # Only now: torch and what draws take many seconds to load.
    from past_training.dataset.read import open_dataset
    from past_training.release.export import export, read_run
    from past_training.release.statements import statements_of

    dataset = open_dataset(options.data)
    run = read_run(options.weights, dataset)
    statements = statements_of(
        run.split.train,
        options.name or options.out.stem,
        f"{run.card.backbone}, pretrained on {dataset.name}.",
        options.card,
    )
    made = export(
        run, dataset, options.out, statements, device=options.device, on_step=logging.info
    )
    print(f"{options.out}: {made.name}, {len(made.genes)} genes")
    if run.split.held is None:
        print("The run held nothing out, so nothing was measured and there is no report.")
    else:
        print(f"report: {options.out.with_suffix('.md')}")
    return 0

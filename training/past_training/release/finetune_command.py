"""``past-train finetune``: a model fitted to a lab's own tissue."""

from __future__ import annotations

import argparse
import logging
import math
from pathlib import Path

from napari_past.errors import PastError
from napari_past.model import model_path
from past_training.release.out import check_outs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``finetune`` to the commands of past-train."""
    parser = commands.add_parser(
        "finetune",
        help="fit a model to your own tissue and measure it before and after",
        description="Writes a model file with its card, its page (NAME.card.md) and a report "
        "(NAME.md, NAME.html) that shows the model before and after on tissue held out: patients, "
        "sections of one patient, or blocks of one section with a buffer between them.",
    )
    parser.add_argument("--model", required=True, metavar="NAME|FILE", help="what it starts from")
    parser.add_argument("--data", required=True, metavar="DATASET", help="a paired dataset")
    parser.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    add_card_arguments(parser)
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument(
        "--how", choices=("lora", "head"), default="lora",
        help="lora (the default): low-rank additions to the tower and a new read-out; head: the "
        "read-out alone",
    )  # fmt: skip
    parser.add_argument(
        "--readout", choices=("ridge", "mlp"), default="ridge",
        help="ridge (the default): linear; mlp: with one hidden layer",
    )  # fmt: skip
    parser.add_argument("--rank", type=int, default=8, metavar="N", help="of the additions")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--lr", type=float, default=1e-3, metavar="RATE", help="default: 0.001")
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="patches; default: 8"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--blocks", type=int, default=4, metavar="N",
        help="of a single section, held out in turn (default: 4)",
    )  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def add_card_arguments(parser: argparse.ArgumentParser) -> None:
    """What a card says that nobody can measure."""
    parser.add_argument("--name", metavar="N", help="of the model; default: the file's")
    parser.add_argument(
        "--card", type=Path, metavar="FILE.toml",
        help="the card's statements, a line each as licence = \"CC BY 4.0\": licence, attribution, "
        "version, summary, species, organ, preparation, scanner, training_data, min_detected, "
        "cutoff_quantiles, unlike_training_quantile",
    )  # fmt: skip


def execute(options: argparse.Namespace) -> int:
    """Measure, fit, write."""
    _check(options)
    check_outs(options.out, [model_path(options.model), options.data], options.force)
    # Only now: zarr, and later torch and what draws, take seconds to load.
    from napari_past.model import load_model
    from past_training.dataset.read import open_dataset
    from past_training.evaluation.rows import all_rows
    from past_training.evaluation.towers import check_fits
    from past_training.release.statements import statements_of

    model = load_model(options.model, options.device)
    dataset = open_dataset(options.data)
    card = model.card
    statements = statements_of(
        dataset,
        options.name or options.out.stem,
        f"{card.name} {card.version}, fitted to {dataset.name}.",
        options.card,
        card,
    )
    check_fits([model], all_rows(dataset).rows)
    from past_training.evaluation.told import result_lines
    from past_training.release.finetune import FinetuneConfig, finetune
    from past_training.release.fit_tower import FitConfig

    config = FinetuneConfig(
        how=options.how,
        readout=options.readout,
        rank=options.rank,
        blocks=options.blocks,
        fit=FitConfig(
            seed=options.seed,
            epochs=options.epochs,
            batch_patches=options.batch_size,
            lr=options.lr,
        ),
    )
    made, found = finetune(model, dataset, options.out, statements, config, on_step=logging.info)
    for line in result_lines(found):
        print(line)
    known = set(made.genes) - set(model.genes)
    print(f"{options.out}: {made.name}, {len(made.genes)} genes, {len(known)} of them new")
    print(f"report: {options.out.with_suffix('.md')}")
    return 0


def _check(options: argparse.Namespace) -> None:
    least = {"rank": 1, "epochs": 1, "batch_size": 1, "seed": 0, "blocks": 2}
    for name, low in least.items():
        if getattr(options, name) < low:
            flag = "--" + name.replace("_", "-")
            raise PastError(f"{flag} is at least {low}, but got {getattr(options, name)}.")
    if not 0 < options.lr < math.inf:
        raise PastError(f"--lr is a number above 0, but got {options.lr:g}.")

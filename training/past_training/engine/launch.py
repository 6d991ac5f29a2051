"""``python -m past_training pretrain``: paired dataset in, weights out, alone or under torchrun."""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pydantic
import torch
from lightning_fabric import Fabric

from napari_past.errors import CannotWrite, PastError
from past_training.dataset.batches import Batches
from past_training.dataset.read import PairedDataset, open_dataset
from past_training.engine.cell_tower import HEADS, CountTower, TokenTower
from past_training.engine.checkpoint import (
    Facts,
    checkpoint_to_resume,
    checkpoints,
    load_checkpoint,
)
from past_training.engine.export_warning import export_warning
from past_training.engine.gene_levels import gene_levels
from past_training.engine.hub import brings_weights
from past_training.engine.loop import LoopConfig, fit
from past_training.engine.options import add_arguments
from past_training.engine.pair_model import PairModel
from past_training.engine.processes import (
    launched_fabric,
    lost_another,
    process_rank,
    several_processes,
)
from past_training.engine.progress import Progress
from past_training.engine.random_state import seed_everything
from past_training.engine.start import begun
from past_training.engine.towers import image_tower
from past_training.engine.validation import Validation
from past_training.objectives.config import ObjectiveConfig

__all__ = ["add_arguments", "execute", "main"]

log = logging.getLogger("past_training")

# What may change when a run goes on; all else of its options must stay.
_FREE = frozenset({
    "data", "exp_name", "output_dir", "log_dir", "resume", "save_interval", "log_interval",
    "device", "precision", "num_workers", "grad_checkpointing", "validation", "patience",
})  # fmt: skip


@dataclass(frozen=True)
class Split:
    """What is trained on, and what is held out of it."""

    train: PairedDataset
    held: PairedDataset | None
    name: str
    """Of what is held out: ``patient A``, ``section C5``, ``nothing``."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code (0, 2 for a mistake, 130 when interrupted)."""
    parser = argparse.ArgumentParser(
        prog="python -m past_training pretrain",
        description="Pretrain an image and a cell tower on a paired dataset; start it under "
        "torchrun for several GPUs or nodes.",
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    rank = process_rank()
    level = logging.INFO if rank == 0 else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    who = f"past-train (process {rank})" if rank else "past-train"
    try:
        code = execute(options)
    except PastError as exc:
        # Before the processes know of each other each of them meets the same mistake: one tells.
        if rank == 0 or several_processes():
            print(f"{who}: {exc}", file=sys.stderr, flush=True)
        return 2
    except RuntimeError as exc:
        if not lost_another(exc):
            raise
        print(
            f"{who}: another process of the run has ended; it says why, and --resume auto goes on "
            f"from the last checkpoint.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(
            "past-train: stopped; --resume auto goes on from the last checkpoint.", file=sys.stderr
        )
        return 130
    if several_processes():
        torch.distributed.destroy_process_group()
    return code


def execute(options: argparse.Namespace) -> int:
    """Pretrain as the options of `add_arguments` say; returns the exit code.

    Raises
    ------
    PastError
        An option, the dataset, the tower or the checkpoint does not fit; the message says which.
    """
    _check(options)
    folder, logs = _folders(options)
    resumed = checkpoint_to_resume(options.resume, folder) if options.resume else None
    if resumed is None and checkpoints(folder):
        raise PastError(
            f"{folder} holds checkpoints of a run already; go on with --resume auto, or give "
            f"another --exp-name."
        )
    dataset = open_dataset(options.data)
    split = held_out(dataset, options.validation)
    genes = split.train.genes if options.genes == "all" else split.train.common_genes
    objective = _objective(options, bool(genes))
    fabric = launched_fabric(options.device, options.precision)
    for path in (folder, logs):
        _make(path)
    feed = Batches(
        split.train, genes, options.batch_size, seed=options.seed, rank=fabric.global_rank,
        world=fabric.world_size, workers=options.num_workers,
    )  # fmt: skip
    loop = LoopConfig(
        options.epochs, options.accum_iter, options.clip_norm, options.save_interval,
        options.log_interval, options.stain_jitter,
    )  # fmt: skip
    # The same weights in every process, then random numbers of its own for each.
    seed_everything(options.seed)
    model = _model(fabric, options, split.train, genes, objective)
    if (
        fabric.is_global_zero
        and resumed is None
        and (warning := export_warning(options.image_tower, model.image_tower, dataset))
    ):
        log.warning(warning)
    seed_everything(options.seed + 1 + fabric.global_rank)
    steps = loop.steps_per_epoch(len(feed))
    training = begun(
        fabric, model, feed, total_steps=options.epochs * steps,
        warmup_steps=round(options.warmup_epochs * steps), lr=options.lr, min_lr=options.min_lr,
        encoder_lr_factor=options.encoder_lr_factor, weight_decay=options.weight_decay,
        patience=options.patience,
    )  # fmt: skip
    facts = _facts(options, fabric, split, genes)
    if resumed is not None:
        load_checkpoint(fabric, resumed, training, facts)
    if fabric.is_global_zero:
        _tell(options, fabric, split, genes, resumed, steps)
    at_step = training.position.step if resumed is not None else None
    progress = Progress(
        logs, objective.parts, options.epochs * steps, at_step, fabric.is_global_zero
    )
    try:
        stopped = fit(
            fabric, training, objective, loop, folder, facts, progress,
            _validation(fabric, options, split, genes, objective),
        )  # fmt: skip
    finally:
        progress.close()
    if fabric.is_global_zero:
        why = " (stopped early)" if stopped else ""
        print(f"{folder}: {training.position.step} steps, {training.position.epoch} epochs{why}")
    return 0


def content_of(dataset: PairedDataset) -> str:
    """Digest of what the sections of a dataset were made from, and of their order."""
    sections = "\n".join(record.source_sha256 for record in dataset.sections)
    return hashlib.sha256(sections.encode()).hexdigest()[:16]


def held_out(dataset: PairedDataset, validation: str) -> Split:
    """Split a dataset as ``--validation`` says.

    Raises
    ------
    PastError
        No patient or section has that name, or nothing would be left to train on.
    """
    if validation == "none":
        return Split(dataset, None, "nothing")
    names = [record.name for record in dataset.sections]
    patients = dataset.patients
    if validation == "auto":
        if len(names) == 1:
            return Split(dataset, None, "nothing")
        validation = patients[-1] if len(patients) > 1 else names[-1]
    if validation in patients:
        kind, held = "patient", [r.name for r in dataset.sections if r.patient == validation]
    elif validation in names:
        kind, held = "section", [validation]
    else:
        raise PastError(
            f"--validation {validation}: {dataset.name} has no such patient or section; choose "
            f"among {', '.join([*patients, *names])}."
        )
    train = [name for name in names if name not in held]
    if not train:
        raise PastError(
            f"--validation {validation} would hold out all of {dataset.name}; use none, or give "
            f"one of several patients or sections."
        )
    return Split(
        dataset.select(sections=train), dataset.select(sections=held), f"{kind} {validation}"
    )


def _check(options: argparse.Namespace) -> None:
    least = {"batch_size": 1, "num_workers": 0, "seed": 0, "cell_dim": 1, "cell_layers": 1}
    for name, low in least.items():
        if getattr(options, name) < low:
            raise PastError(
                f"{_flag(name)} is at least {low}, but got {getattr(options, name)}; give more."
            )
    for name in ("lr", "encoder_lr_factor"):
        if not getattr(options, name) > 0:
            raise PastError(f"{_flag(name)} is above 0, but got {getattr(options, name):g}.")
    if not 0 <= options.min_lr <= options.lr:
        raise PastError(
            f"--min-lr {options.min_lr:g} is not between 0 and --lr {options.lr:g}; give less."
        )
    for name in ("warmup_epochs", "weight_decay", "stain_jitter"):
        if not getattr(options, name) >= 0:
            raise PastError(f"{_flag(name)} is at least 0, but got {getattr(options, name):g}.")
    if options.cell_dim % HEADS:
        raise PastError(f"--cell-dim {options.cell_dim} is no multiple of {HEADS}; give one.")
    if not options.exp_name or Path(options.exp_name).name != options.exp_name:
        raise PastError(
            f"--exp-name {options.exp_name!r} names a folder; give a name without slashes."
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _folders(options: argparse.Namespace) -> tuple[Path, Path]:
    """Of the run's checkpoints, and of its logs."""
    folder = options.output_dir / options.exp_name
    return folder, (options.log_dir or options.output_dir) / options.exp_name


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise CannotWrite(
            f"The folder {folder} cannot be made ({exc.strerror}); choose another with "
            f"--output-dir or --log-dir."
        ) from exc


def _objective(options: argparse.Namespace, has_genes: bool) -> ObjectiveConfig:
    try:
        return ObjectiveConfig(
            contrastive=options.contrastive,
            targets=options.targets,
            spare_neighbours=options.spare_neighbours,
            expression=options.expression if has_genes else 0.0,
            expression_loss=options.expression_loss,
            self_supervised=options.self_supervised,
            texture=options.texture,
            anchor=options.anchor,
        )
    except pydantic.ValidationError as exc:
        first = exc.errors()[0]
        field = _flag(str(first["loc"][0])) + ": " if first["loc"] else ""
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise PastError(f"The objectives do not fit: {field}{reason}; give other weights.") from exc


def _model(
    fabric: Fabric,
    options: argparse.Namespace,
    dataset: PairedDataset,
    genes: Sequence[str],
    objective: ObjectiveConfig,
) -> PairModel:
    name = options.image_tower
    pretrained = options.weights == "hub" or (options.weights == "auto" and brings_weights(name))
    # One process of a machine downloads, the others then find it there.
    with fabric.rank_zero_first(local=True):
        tower = image_tower(name, dataset.patch_px, pretrained=pretrained, pooled=options.pooled)
    tower.to(memory_format=torch.channels_last)
    if options.grad_checkpointing:
        tower.checkpoint_gradients()
    dim = options.cell_dim
    cells: CountTower | TokenTower | None = None
    if not objective.contrastive:
        pass
    elif all(record.has_tokens for record in dataset.sections):
        cells = TokenTower(dim, options.cell_layers)
    elif genes:
        cells = CountTower(len(genes), dim)
    else:
        raise PastError(
            f"The sections of {dataset.name} measured no gene in common and have no tokens; use "
            f"--genes all, or prepare a dataset of sections that go together."
        )
    return PairModel(objective, tower, cells, dim, gene_levels(dataset, genes))


def _validation(
    fabric: Fabric,
    options: argparse.Namespace,
    split: Split,
    genes: Sequence[str],
    objective: ObjectiveConfig,
) -> Validation | None:
    if split.held is None:
        return None
    feed = None
    if fabric.is_global_zero:
        feed = Batches(
            split.held, genes, options.batch_size, seed=options.seed,
            workers=options.num_workers, shuffle=True,
        )  # fmt: skip
    return Validation(fabric, feed, objective)


def _facts(
    options: argparse.Namespace, fabric: Fabric, split: Split, genes: Sequence[str]
) -> Facts:
    """What a checkpoint must share with the run that goes on from it, and what else is kept."""
    facts: dict[str, str | int | float | bool] = {
        "the dataset's content": content_of(split.train),
        "genes": hashlib.sha256("\n".join(genes).encode()).hexdigest()[:16],
        "held out": split.name,
        "processes": fabric.world_size,
        "--patience": "none" if options.patience is None else options.patience,
    }
    for name, value in vars(options).items():
        if name not in _FREE:
            facts[_flag(name)] = value
    return facts


def _tell(
    options: argparse.Namespace,
    fabric: Fabric,
    split: Split,
    genes: Sequence[str],
    resumed: Path | None,
    steps: int,
) -> None:
    n = len(split.train.sections)
    rows = sum(record.rows for record in split.train.sections)
    joint = options.batch_size * fabric.world_size
    log.info(
        "%d rows of %d section%s, %d genes; held out: %s",
        rows, n, "s" if n > 1 else "", len(genes), split.name,
    )  # fmt: skip
    log.info(
        "%d process%s on %s, %d patches in a joint batch, %d steps an epoch",
        fabric.world_size, "es" if fabric.world_size > 1 else "", fabric.device.type, joint, steps,
    )  # fmt: skip
    if not genes:
        log.info("No gene was counted: contrasts are learnt from tokens, expression is left out.")
    if split.held is None and options.validation == "auto":
        log.info("One section alone: nothing is held out, so over-fitting will not show.")
    if resumed is not None:
        log.info("Going on from %s.", resumed)

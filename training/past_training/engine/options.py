"""The options of ``python -m past_training pretrain``: PAST's launch line, and what it lacked."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from past_training.objectives.config import ExpressionLoss
from past_training.objectives.contrastive import Targets

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of pretraining to a command's parser."""
    _run(parser.add_argument_group("the run"))
    _data(parser.add_argument_group("data"))
    _model(parser.add_argument_group("model"))
    _objectives(parser.add_argument_group("objectives (weights; 0 leaves one out)"))
    _training(parser.add_argument_group("training"))


def _run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--exp-name", required=True, help="name of the run: its folder")
    group.add_argument(
        "--output-dir", type=Path, default=Path("runs"),
        help="checkpoints and weights go to OUTPUT_DIR/EXP_NAME (default: runs)",
    )  # fmt: skip
    group.add_argument(
        "--log-dir", type=Path, default=None,
        help="tables and TensorBoard's events go to LOG_DIR/EXP_NAME (default: OUTPUT_DIR)",
    )  # fmt: skip
    group.add_argument(
        "--resume", metavar="auto|PATH", default=None,
        help="go on from a checkpoint, from the last one of a folder, or (auto) from the last of "
        "this run if there is one",
    )  # fmt: skip
    group.add_argument(
        "--save-interval", type=int, default=10_000, metavar="STEPS",
        help="steps between checkpoints; the last two are kept (default: 10000)",
    )  # fmt: skip
    group.add_argument(
        "--log-interval", type=int, default=20, metavar="STEPS",
        help="steps between lines of the log (default: 20)",
    )  # fmt: skip
    group.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def _data(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--data", required=True, help="paired dataset of past-train prepare: a folder or a URL"
    )
    group.add_argument(
        "--batch-size", type=int, default=48, metavar="PATCHES",
        help="patches in a batch of each process (default: 48)",
    )  # fmt: skip
    group.add_argument(
        "--num-workers", type=int, default=4, metavar="THREADS",
        help="threads of each process that read ahead; 0 reads in between (default: 4)",
    )  # fmt: skip
    group.add_argument(
        "--validation", metavar="auto|none|NAME", default="auto",
        help="patient or section that is held out; auto: the last patient of several, else the "
        "last section of several (default: auto)",
    )  # fmt: skip
    group.add_argument(
        "--genes", choices=("common", "all"), default="common",
        help="genes that every section of the training measured, or all (default: common)",
    )  # fmt: skip


def _model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--image-tower", default="mobilenetv4_conv_small", metavar="NAME",
        help="a name of timm, hf-hub:OWNER/NAME, or uni, uni2-h, virchow2, h-optimus-1, "
        "prov-gigapath … (default: mobilenetv4_conv_small)",
    )  # fmt: skip
    group.add_argument(
        "--weights", choices=("auto", "hub", "scratch"), default="auto",
        help="of the image tower; auto: trained ones for names of a hub and names of timm with a "
        "tag, else from scratch (default: auto)",
    )  # fmt: skip
    group.add_argument(
        "--pooled", action="store_true",
        help="one vector for a patch, as PAST has it, for crops around single cells; else features "
        "are sampled at each nucleus",
    )  # fmt: skip
    group.add_argument(
        "--cell-dim", type=int, default=256, help="length of a cell vector (default: 256)"
    )
    group.add_argument(
        "--cell-layers", type=int, default=12, help="of the tower over tokens (default: 12)"
    )
    group.add_argument(
        "--grad-checkpointing", action="store_true",
        help="recompute activations of the image tower: less memory, a third more time",
    )  # fmt: skip


def _objectives(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--contrastive", type=float, default=1.0, metavar="W", help="image against cell (1)"
    )
    group.add_argument(
        "--targets", choices=get_args(Targets), default="pre",
        help="what tells how alike two cells are: embeddings before the projection, projected "
        "ones, or (hard) nothing but the pair (default: pre)",
    )  # fmt: skip
    group.add_argument(
        "--spare-neighbours", action="store_true",
        help="do not count a cell's neighbours in tissue as negatives",
    )  # fmt: skip
    group.add_argument(
        "--expression", type=float, default=1.0, metavar="W",
        help="rates of nuclei against counts, 1; contrasts alone can make prediction worse "
        "(HESCAPE, arXiv 2508.01490); left out where no gene was counted",
    )  # fmt: skip
    group.add_argument(
        "--expression-loss", choices=get_args(ExpressionLoss), default="negative-binomial"
    )
    group.add_argument(
        "--self-supervised", type=float, default=0.0, metavar="W",
        help="two views of the same nuclei (0)",
    )  # fmt: skip
    group.add_argument(
        "--texture", type=float, default=0.0, metavar="W",
        help="tell colour and texture around each nucleus from its embedding (0)",
    )  # fmt: skip
    group.add_argument(
        "--anchor", type=float, default=0.0, metavar="W",
        help="stay near the tower as it was at the start (0)",
    )  # fmt: skip


def _training(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--accum-iter", type=int, default=1, metavar="BATCHES",
        help="batches whose gradients make one step (default: 1)",
    )  # fmt: skip
    group.add_argument("--epochs", type=int, default=20, help="(default: 20)")
    group.add_argument("--warmup-epochs", type=float, default=1.0, help="(default: 1)")
    group.add_argument("--lr", type=float, default=5e-4, help="learning rate (default: 5e-4)")
    group.add_argument("--min-lr", type=float, default=1e-6, help="at the end (default: 1e-6)")
    group.add_argument(
        "--encoder-lr-factor", type=float, default=0.1, metavar="F",
        help="the image tower learns at F times the rate, from the first step to the last "
        "(default: 0.1)",
    )  # fmt: skip
    group.add_argument("--weight-decay", type=float, default=0.02, help="(default: 0.02)")
    group.add_argument(
        "--clip-norm", type=float, default=1.0, help="longest gradient of a step (default: 1)"
    )
    group.add_argument(
        "--stain-jitter", type=float, default=0.1,
        help="strength of the stain augmentation (default: 0.1)",
    )  # fmt: skip
    group.add_argument(
        "--patience", type=int, default=None, metavar="EPOCHS",
        help="stop after so many epochs without a better held-out loss (default: never)",
    )  # fmt: skip
    group.add_argument(
        "--precision", choices=PRECISIONS, default="auto",
        help="auto: bf16-mixed on a GPU that can, 16-mixed on another, 32-true on the CPU",
    )  # fmt: skip

r"""``past-train slide fit``: a network fitted on all patients of a prepared cohort.

    past-train slide fit cohort --task survival --pooling top-k --out os.past-network.safetensors
    past-train slide fit cohort --task bulk --out rna.past-network.safetensors
    past-train slide fit cohort --task survival --start rna.past-network.safetensors --freeze \
        --out os.past-network.safetensors
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from napari_past.errors import PastError
from napari_past.files import check_writable
from napari_past.status_line import StatusLine
from past_training.evaluation.output_files import check_free
from past_training.evaluation.typed import listed

if TYPE_CHECKING:
    from past_training.slide_level.fitting import FitOptions, SlideNetwork

_TASKS = ("survival", "classification", "bulk", "align")
_POOLINGS = ("mean", "attention", "top-k", "transformer", "linear-attention")
_CHOICES = ("width", "epochs", "batch", "lr", "dropout", "seed")
"""Options that are fields of `FitOptions`; the default is its own."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``fit`` to the commands of ``past-train slide``."""
    parser = commands.add_parser(
        "fit",
        help="fit a model of whole slides to outcomes, classes or bulk RNA",
        description="Fits one network on all patients. How good such a network is on patients it "
        "has not seen, `past-train slide evaluate` tells; this command does not.",
    )
    parser.add_argument("cohort", type=Path, metavar="FOLDER", help="of `past-train slide prepare`")
    parser.add_argument("--task", choices=_TASKS, required=True, help="what is learned")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="NAME.past-network.safetensors"
    )
    parser.add_argument(
        "--pooling", choices=_POOLINGS, help="how cells become one vector; default: attention"
    )
    parser.add_argument(
        "--loss", choices=("cox", "discrete"),
        help="of survival: partial likelihood (default), or hazards of intervals of time",
    )  # fmt: skip
    parser.add_argument(
        "--classes", type=listed, metavar="A,B",
        help="of classification: tasks among those of the table; default: all",
    )  # fmt: skip
    parser.add_argument(
        "--start", type=Path, metavar="FILE",
        help="go on from the pooling of a network fitted before, on any task",
    )  # fmt: skip
    parser.add_argument("--freeze", action="store_true", help="with --start: fit the head alone")
    parser.add_argument(
        "--instances", metavar="N|all",
        help="cells or tiles of each patient in each epoch; all streams bags that do not fit in "
        "memory; default: 256",
    )  # fmt: skip
    parser.add_argument("--width", type=int, metavar="N", help="numbers of a pooled vector")
    parser.add_argument("--epochs", type=int, metavar="N", help="there is no early stop")
    parser.add_argument("--batch", type=int, metavar="N", help="patients of a step")
    parser.add_argument("--lr", type=float, metavar="RATE", help="of AdamW at its highest")
    parser.add_argument("--dropout", type=float, metavar="SHARE", help="of the pooled vector")
    parser.add_argument("--seed", type=int, metavar="N", help="of first weights and of instances")
    parser.add_argument("--force", action="store_true", help="overwrite a file that is there")


def execute(options: argparse.Namespace) -> int:
    """Check everything, fit, write; 0 when done.

    Raises
    ------
    PastError
        A mistake of the user's.
    """
    if options.freeze and options.start is None:
        raise PastError("--freeze keeps the pooling of another network; name it (--start FILE).")
    for option, task in (("loss", "survival"), ("classes", "classification")):
        if getattr(options, option) is not None and options.task != task:
            raise PastError(
                f"--{option} belongs to --task {task}, but got --task {options.task}; leave it out."
            )
    if not options.cohort.is_dir():
        raise PastError(f"{options.cohort} is no folder; give one of `past-train slide prepare`.")
    check_free([options.out], [options.cohort, *filter(None, [options.start])], options.force)
    check_writable(options.out)
    chosen = _fit_options(options)
    # Only now: torch and pandas take seconds to load.
    from past_training.slide_level.bags.read_prepared import read_prepared
    from past_training.slide_level.fitting import Origin, fit_network, read_network

    prepared = read_prepared(options.cohort)
    start = None if options.start is None else read_network(options.start)
    if start is not None:
        _check_start(options, start)
    from past_training.slide_level.fitting.prepared_target import learned_from

    learned = learned_from(prepared, options.task, options.loss or "cox", options.classes)
    line = StatusLine()
    for note in learned.notes:
        line.note(f"note: {note}")

    def on_epoch(epoch: int, loss: float) -> None:
        if line.due() or epoch == chosen.epochs:
            line.tell(f"epoch {epoch}/{chosen.epochs}: loss {loss:.4f}")

    try:
        network = fit_network(
            learned.bags, learned.target, chosen,
            start=start, origin=Origin.of(learned.prepared), on_epoch=on_epoch,
        )  # fmt: skip
    finally:
        line.close()
    network.save(options.out)
    card = network.card
    print(f"{options.out}: {card.head}, {card.shape.pooling}, {card.fitted_on}.")
    print(f"Evidence: {card.evidence}. {card.research_use}")
    return 0


def _fit_options(options: argparse.Namespace) -> FitOptions:
    from past_training.slide_level.fitting import FitOptions

    given: dict[str, object] = {
        name: getattr(options, name) for name in _CHOICES if getattr(options, name) is not None
    }
    if options.pooling is not None:
        given["pooling"] = options.pooling
    for option in ("lr", "dropout"):
        _check_share(option, getattr(options, option))
    if options.instances is not None:
        given["instances"] = _instances(options.instances)
    try:
        return FitOptions(freeze=options.freeze, **given)  # type: ignore[arg-type]
    except ValueError as exc:
        raise PastError(f"--{str(exc).rstrip('.')}; give another number.") from exc


def _check_share(option: str, value: float | None) -> None:
    """`FitOptions` tells of both in one sentence, which names an option that is not here."""
    if value is None:
        return
    if option == "lr" and not 0 < value < math.inf:
        raise PastError(f"--lr must be above 0, but got {value:g}; give another number.")
    if option == "dropout" and not 0 <= value < 1:
        raise PastError(
            f"--dropout must be 0 or more and below 1, but got {value:g}; give another number."
        )


def _instances(text: str) -> int | None:
    if text == "all":
        return None
    try:
        return int(text)
    except ValueError:
        raise PastError(f"--instances is a number of cells, or all, but got {text!r}.") from None


def _check_start(options: argparse.Namespace, start: SlideNetwork) -> None:
    shape = start.card.shape
    for option, value in (("pooling", shape.pooling), ("width", shape.width)):
        given = getattr(options, option)
        if given not in (None, value):
            raise PastError(
                f"{options.start.name} has --{option} {value}, which it keeps, but got {given}; "
                f"leave --{option} out, or start anew."
            )

r"""``past-train distill``: a small dense student of a model, from slides without labels.

For the published PAST, on a GPU (its weights: ``napari-past models fetch past``), with slides of
the organs that the student will be used on, and the teacher's tiles kept for a second attempt::

    past-train distill --teacher past --slides train/*.svs --held-out test/*.svs \
        --backbone mobilenetv4_conv_medium --steps 40000 --batch-size 16 --device cuda \
        --scratch scratch --out past-student.safetensors
"""

from __future__ import annotations

import argparse
import logging
import math
from contextlib import ExitStack
from pathlib import Path

from napari_past.errors import PastError
from napari_past.model import model_path
from past_training.release.out import check_outs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``distill`` to the commands of past-train."""
    parser = commands.add_parser(
        "distill",
        help="train a small dense student to give a model's vectors, on slides without labels",
        description="Writes a model file with its card, its page (NAME.card.md) and a report "
        "(NAME.md, NAME.html) that holds the student against its teacher on tissue held out. "
        "Whatever reads the teacher's vectors is copied as it is. Without --held-out the last of "
        "several slides is held out, or the far end of a single one.",
    )
    parser.add_argument("--teacher", required=True, metavar="NAME|FILE", help="any model")
    parser.add_argument(
        "--slides", type=Path, nargs="+", required=True, metavar="PATH", help="to learn from"
    )
    parser.add_argument(
        "--held-out", type=Path, nargs="+", default=[], metavar="PATH",
        help="slides to compare both on",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")
    parser.add_argument("--name", metavar="N", help="of the student; default: the file's")
    parser.add_argument(
        "--mpp", type=float, metavar="M", help="µm/px of the slides, where they do not state it"
    )
    parser.add_argument(
        "--student-mpp", type=float, default=1.0, metavar="M",
        help="µm/px that the student reads (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--backbone", default="mobilenetv4_conv_small", metavar="NAME",
        help="of the student: a convolutional one of timm (default: mobilenetv4_conv_small)",
    )  # fmt: skip
    parser.add_argument(
        "--stages", default="2,3", metavar="K,K", help="of the backbone (default: 2,3)"
    )
    parser.add_argument("--steps", type=int, default=2000, metavar="N", help="default: 2000")
    parser.add_argument(
        "--batch-size", type=int, default=4, metavar="N", help="windows of 256 px; default: 4"
    )
    parser.add_argument("--lr", type=float, default=2e-3, metavar="RATE", help="default: 0.002")
    parser.add_argument(
        "--stain-jitter", type=float, default=0.1, metavar="S",
        help="strength of the stain augmentation (default: 0.1)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--scratch", type=Path, metavar="FOLDER",
        help="keep the tiles that the teacher encoded here, for a later run",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N",
        help="tiles that are encoded at once; more than 1 starts processes (default: 1)",
    )  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")


def execute(options: argparse.Namespace) -> int:
    """Encode, train, compare, write."""
    _check(options)
    inputs = [model_path(options.teacher), *options.slides, *options.held_out]
    check_outs(options.out, inputs, options.force)
    # Only now: torch takes many seconds to load.
    from napari_past.engine import Workers
    from napari_past.model import load_model
    from napari_past.slide import open_slide
    from past_training.release.distill import distill
    from past_training.release.distill_fit import StudentConfig
    from past_training.release.distill_report import told

    teacher = load_model(options.teacher, options.device)
    config = StudentConfig(
        backbone=options.backbone,
        stages=_stages(options.stages),
        mpp=options.student_mpp,
        seed=options.seed,
        steps=options.steps,
        windows=options.batch_size,
        lr=options.lr,
        stain_jitter=options.stain_jitter,
    )
    with ExitStack() as stack:
        slides, held_out = (
            [stack.enter_context(open_slide(path, options.mpp)) for path in paths]
            for paths in (options.slides, options.held_out)
        )
        workers = None
        if options.threads > 1:
            workers = Workers(device=options.device, threads=options.threads)
            stack.enter_context(workers)
        made, lesson = distill(
            teacher,
            slides,
            options.out,
            config,
            name=options.name,
            held_out=held_out,
            scratch=options.scratch,
            workers=workers,
            on_step=logging.info,
        )
    print(f"{options.out}: {made.name}, a student of {teacher.name}, {len(made.genes)} genes")
    for line in told(lesson.agreements, lesson.speed):
        print(line)
    print(f"report: {options.out.with_suffix('.md')}")
    return 0


def _check(options: argparse.Namespace) -> None:
    for name, low in {"steps": 1, "batch_size": 1, "threads": 1, "seed": 0}.items():
        if getattr(options, name) < low:
            flag = "--" + name.replace("_", "-")
            raise PastError(f"{flag} is at least {low}, but got {getattr(options, name)}.")
    if not 0 < options.lr < math.inf:
        raise PastError(f"--lr is a number above 0, but got {options.lr:g}.")
    if not 0 <= options.stain_jitter < math.inf:
        raise PastError(f"--stain-jitter is 0 or more, but got {options.stain_jitter:g}.")
    if options.scratch is not None and not options.scratch.is_dir():
        raise PastError(
            f"--scratch {options.scratch} is not a folder; make it, or leave the option out."
        )


def _stages(text: str) -> tuple[int, ...]:
    try:
        stages = tuple(int(part) for part in text.split(","))
    except ValueError:
        stages = ()
    if not stages or min(stages) < 0 or len(set(stages)) < len(stages):
        raise PastError(f"--stages are numbers such as 2,3, each once, but got {text!r}.")
    return stages

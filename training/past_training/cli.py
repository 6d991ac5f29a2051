"""``past-train``: the training package's command line."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from napari_past.errors import PastError
from past_training.interrupts import CANCELLED, EXIT_CODE, ended_at_once, noticed

EXTRA = "napari-past[training]"
_NEEDED = ("lightning_fabric", "markdown", "matplotlib", "peft", "pyarrow", "sklearn")
"""Of the extra: without one of these it was not installed."""
_COMMANDS = {
    "prepare": ("turn measured tissue and its H&E into one paired dataset",
                "past_training.dataset.command"),
    "pretrain": ("train a model from scratch, by a recipe or by PAST's launch line",
                 "past_training.release.pretrain_command"),
    "finetune": ("fit a model to your own tissue and measure it before and after",
                 "past_training.release.finetune_command"),
    "tower": ("make a model of a published image tower, to fit a read-out on",
              "past_training.release.tower_command"),
    "evaluate": ("measure a model beside its baselines on held-out sections",
                 "past_training.evaluation.command"),
    "hest": ("measure image towers on the HEST-Benchmark, by its own rules",
             "past_training.benchmark.command"),
    "export": ("make a model file of the weights of a pretraining run",
               "past_training.release.export_command"),
    "bank": ("encode measured cells as a reference bank to look pictures of cells up in",
             "past_training.release.bank_command"),
    "distill": ("train a small dense student to give a model's vectors, on slides without labels",
                "past_training.release.distill_command"),
    "slide": ("models of whole slides and patients: outcomes, classes, bulk RNA",
              "past_training.slide_level.commands.slide"),
}  # fmt: skip
"""What each does, and the module with its ``add_parser`` and ``execute``."""
_GROUPS = ("slide",)
"""Commands that have commands of their own."""


def _module(command: str) -> ModuleType:
    return import_module(_COMMANDS[command][1])


def parser(command: str = "", *part: str) -> argparse.ArgumentParser:
    """The commands, and the options of one: those of others would import all they need.

    Parameters
    ----------
    part
        Of a command that has commands of its own: which of them.
    """
    root = argparse.ArgumentParser(
        prog="past-train", description="Train and measure models for napari-past."
    )
    commands = root.add_subparsers(dest="command", required=True)
    for name, (summary, _) in _COMMANDS.items():
        if name == command:
            _module(name).add_parser(commands, *part)
        else:
            commands.add_parser(name, help=summary)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0, 2 for a mistake, 130 when interrupted)."""
    with noticed() as interrupts:
        try:
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        except BaseException as exc:
            # Whatever it became on its way: an import that fails, or a panic of an extension.
            if interrupts.pressed or isinstance(exc, KeyboardInterrupt):
                print(CANCELLED, file=sys.stderr)
                return EXIT_CODE
            if not isinstance(exc, PastError):
                raise
            print(f"past-train: {exc}", file=sys.stderr)
            return 2


def _run(given: list[str]) -> int:
    # Before the options are read: who lacks the extra is told so whatever was typed.
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        print(f"past-train needs the training extra: pip install '{EXTRA}'.", file=sys.stderr)
        return 2
    command = given[0] if given else ""
    if command == "pretrain" and any(word.startswith("--exp-name") for word in given):
        from past_training.engine import launch

        return launch.main(given[1:])
    with ended_at_once():
        part = given[1:2] if command in _GROUPS else []
        options = parser(command, *part).parse_args(given)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # It tells of its caches when it is interrupted while it is imported.
    logging.getLogger("torch").setLevel(logging.WARNING)
    code: int = _module(command).execute(options)
    return code


if __name__ == "__main__":
    sys.exit(main())

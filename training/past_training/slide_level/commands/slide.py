"""``past-train slide``: from cohorts of slides to models of patients."""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

_COMMANDS = {
    "prepare": "check a table of slides and patients, encode the slides, summarise them",
    "fit": "fit a model of whole slides to outcomes, classes or bulk RNA",
    "evaluate": "measure models of patients beside their baselines, on patients held out",
}


def _module(part: str) -> ModuleType:
    return import_module(f"past_training.slide_level.commands.{part}_command")


def add_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], part: str = ""
) -> None:
    """Add ``slide`` to the commands of past-train, with the options of one of its own.

    Parameters
    ----------
    part
        Which of its commands was asked for; empty where none was.
    """
    slide = commands.add_parser(
        "slide",
        help="models of whole slides and patients: outcomes, classes, bulk RNA, alignment",
        description="From slides to patients: prepare a cohort once, fit networks on it, and "
        "evaluate them on patients held out. For research use only. Delayed entry and competing "
        "events are not supported.",
    )
    parts = slide.add_subparsers(dest="part", required=True)
    for name, summary in _COMMANDS.items():
        if name == part:
            _module(name).add_parser(parts)
        else:
            parts.add_parser(name, help=summary)


def execute(options: argparse.Namespace) -> int:
    """Run the command that was asked for; returns the exit code."""
    code: int = _module(options.part).execute(options)
    return code

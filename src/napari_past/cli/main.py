"""From arguments to an exit code: every mistake of the user's becomes one line on stderr."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from napari_past.cli.parser import command_parser, joined_negatives
from napari_past.errors import Cancelled, PastError

DEBUG = "NAPARI_PAST_DEBUG"
"""Environment variable that, set to 1, shows tracebacks and the warnings of libraries."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments
        Without the program's name; None takes those of the process.
    """
    debug = os.environ.get(DEBUG) == "1"
    for stream in (sys.stdout, sys.stderr):
        # A console that knows no µ prints a question mark, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
            # tifffile logs what it finds odd in a damaged file, and asyncio the reads of zarr that
            # a failure or Ctrl-C left unfinished; our own sentence says what to do.
            for name in ("tifffile", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            return _run(sys.argv[1:] if arguments is None else list(arguments))
        except Cancelled as exc:
            return _told(exc, 130)
        except PastError as exc:
            if debug:
                raise
            return _told(exc, 2)
        except KeyboardInterrupt:
            return _told("cancelled.", 130)
        except BrokenPipeError:
            # Who reads our output has seen enough (`| head`); Python must not flush into the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


def _run(arguments: list[str]) -> int:
    try:
        options = command_parser().parse_args(joined_negatives(arguments))
    except SystemExit as exc:  # argparse has printed its line, the help or the version
        return exc.code if isinstance(exc.code, int) else 0
    command = import_module(f"napari_past.cli.{options.command}")
    code: int = command.execute(options)
    sys.stdout.flush()
    return code


def _told(sentence: object, code: int) -> int:
    line = " ".join(str(sentence).split())
    print(f"napari-past: {line}", file=sys.stderr)
    return code

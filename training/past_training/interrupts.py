"""Ctrl-C, wherever it comes: libraries that are being imported turn it into errors of their own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CANCELLED = "past-train: cancelled; nothing was written."
EXIT_CODE = 130

_Handler = Callable[[int, FrameType | None], None]


class Interrupts:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Remember it, and raise KeyboardInterrupt."""
        self.pressed = True
        signal.default_int_handler(number, frame)


@contextmanager
def noticed() -> Iterator[Interrupts]:
    """Within it Ctrl-C raises KeyboardInterrupt, as ever, and is remembered."""
    interrupts = Interrupts()
    with _handled(interrupts):
        yield interrupts


@contextmanager
def ended_at_once() -> Iterator[None]:
    """Within it, while nothing is at stake, Ctrl-C ends the process with a line.

    An extension that cannot finish its import may panic, and say so, instead of raising.
    """

    def end(number: int, frame: FrameType | None) -> None:
        print(CANCELLED, file=sys.stderr, flush=True)
        os._exit(EXIT_CODE)

    with _handled(end):
        yield


@contextmanager
def _handled(handler: _Handler) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    # A process in the background is deaf to it, and stays so; threads cannot handle signals.
    if not (before is signal.default_int_handler or isinstance(before, Interrupts)):
        yield
        return
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

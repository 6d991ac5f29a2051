"""Trying again when a network or its file system does not answer, for a bounded time."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from napari_past.errors import SlideUnreachable
from napari_past.slide.access.wire import Unanswered

T = TypeVar("T")

_NAMES = (
    *("EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "ECONNRESET", "ECONNABORTED", "ENETDOWN"),
    *("ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "EREMOTEIO", "EAGAIN", "EBUSY"),
    *("ENODEV", "ENXIO", "ENOLINK"),
)
_PASSING = frozenset(getattr(errno, name) for name in _NAMES if hasattr(errno, name))
_LONGEST_WAIT_S = 4.0


@dataclass(frozen=True)
class Patience:
    """How long to go on trying."""

    total_s: float
    """From the first failure on; an attempt under way is not broken off."""
    first_wait_s: float = 0.2
    """Doubled after each attempt, at most 4 s."""


OPENING = Patience(5.0)
READING = Patience(20.0)


def is_passing(exc: OSError) -> bool:
    """Whether an error is one that networks and their file systems give for a while."""
    return exc.errno in _PASSING


class Persistence:
    """Attempts at one slide, from any thread.

    Who has just given up does not wait that long again: until an attempt succeeds, each read has
    one, so that a run does not spend the whole bound on every tile of a slide that is gone.
    """

    def __init__(self, name: str, where: str, to_check: str, stop: threading.Event) -> None:
        self._name = name
        self._where = where
        self._to_check = to_check
        self._stop = stop
        self._gave_up = False

    def attempt(self, action: Callable[[], T], patience: Patience) -> T:
        """What `action` returns, tried again while errors pass.

        Raises
        ------
        SlideUnreachable
            They did not pass in time, or the slide was closed meanwhile.
        """
        until = time.monotonic() + (0.0 if self._gave_up else patience.total_s)
        wait_s = patience.first_wait_s
        while True:
            try:
                result = action()
            except (Unanswered, OSError) as exc:
                if isinstance(exc, OSError) and not is_passing(exc):
                    raise
                asked_s = exc.wait_s if isinstance(exc, Unanswered) else 0.0
                wait_s = max(wait_s, min(asked_s, _LONGEST_WAIT_S))
                if time.monotonic() + wait_s > until or self._stop.wait(wait_s):
                    self._gave_up = True
                    raise self.unreachable(_reason(exc)) from None
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                self._gave_up = False
                return result

    def unreachable(self, reason: str) -> SlideUnreachable:
        """The error that says so."""
        return SlideUnreachable(
            f"{self._name} cannot be read from {self._where} ({reason}); check {self._to_check} "
            "and try again: what is finished is kept."
        )


def _reason(exc: Unanswered | OSError) -> str:
    return str(exc.strerror or exc) if isinstance(exc, OSError) else str(exc)

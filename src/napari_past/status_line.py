"""One line on stderr that is rewritten on a terminal; few lines of their own elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

SECONDS_BETWEEN = {True: 0.1, False: 10.0}
"""Least time between two messages, by whether a terminal shows them."""


class StatusLine:
    """Tells how far something is.

    Parameters
    ----------
    stream
        None for stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._told_s = time.monotonic()
        self._width = 0

    def due(self) -> bool:
        """Whether the last message was long enough ago."""
        return time.monotonic() - self._told_s >= SECONDS_BETWEEN[self._terminal]

    def tell(self, text: str) -> None:
        """Show a text in place of the one before."""
        self._told_s = time.monotonic()
        if self._terminal:
            self._stream.write(f"\r{text:<{self._width}}")
            self._width = len(text)
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """A text on a line of its own, which stays."""
        self.close()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0

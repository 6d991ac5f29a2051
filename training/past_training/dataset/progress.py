"""How far a section is, on stderr: a line that is rewritten on a terminal, few lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from past_training.dataset.write import Progress

SECONDS_BETWEEN = {True: 0.1, False: 10.0}
"""Least time between two messages, by whether a terminal shows them."""


class ProgressLine:
    """Called after every shard; `close` ends the line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._section = ""
        self._started_s = self._told_s = time.monotonic()
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Tell, unless something was told a moment ago."""
        now_s = time.monotonic()
        first = progress.section != self._section
        if first:
            self.close()
            self._section = progress.section
        last = progress.done == progress.total
        if first or last or now_s - self._told_s >= SECONDS_BETWEEN[self._terminal]:
            self._told_s = now_s
            self._tell(self._text(progress, now_s - self._started_s))
        if last:  # the next section begins with being read and checked
            self._started_s = now_s

    def warn(self, text: str) -> None:
        """A sentence on a line of its own."""
        self.close()
        self._stream.write(f"warning: {text}\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line that is being rewritten."""
        if self._width:
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0

    def _text(self, progress: Progress, elapsed_s: float) -> str:
        text = f"{progress.section}: {progress.done}/{progress.total} rows"
        made = progress.done - progress.kept
        if not made:
            return f"{text} (made before)"
        return f"{text} · {made / max(elapsed_s, 1e-6):.0f} rows/s"

    def _tell(self, text: str) -> None:
        if self._terminal:
            self._stream.write(f"\r{text:<{self._width}}")
            self._width = len(text)
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

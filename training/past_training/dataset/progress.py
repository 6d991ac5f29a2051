"""How far a section is, on stderr: a line that is rewritten on a terminal, few lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from napari_past.status_line import StatusLine
from past_training.dataset.write import Progress


class ProgressLine:
    """Called after every shard; `close` ends the line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._line = StatusLine(stream)
        self._section = ""
        self._started_s = time.monotonic()

    @property
    def began(self) -> bool:
        """Whether a shard is on disk."""
        return bool(self._section)

    def __call__(self, progress: Progress) -> None:
        """Tell, unless something was told a moment ago."""
        now_s = time.monotonic()
        first = progress.section != self._section
        if first:
            self.close()
            self._section = progress.section
        last = progress.done == progress.total
        if first or last or self._line.due():
            self._line.tell(self._text(progress, now_s - self._started_s))
        if last:  # the next section begins with being read and checked
            self._started_s = now_s

    def warn(self, text: str) -> None:
        """A sentence on a line of its own."""
        self._line.note(f"warning: {text}")

    def close(self) -> None:
        """End the line that is being rewritten."""
        self._line.close()

    def _text(self, progress: Progress, elapsed_s: float) -> str:
        text = f"{progress.section}: {progress.done}/{progress.total} rows"
        made = progress.done - progress.kept
        if not made:
            return f"{text} (made before)"
        return f"{text} · {made / max(elapsed_s, 1e-6):.0f} rows/s"

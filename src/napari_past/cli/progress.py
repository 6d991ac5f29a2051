"""How far a run is, on stderr: one line that is rewritten on a terminal, few lines elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

from napari_past.engine import Progress
from napari_past.status_line import StatusLine


class ProgressLine:
    """Called after every tile; `close` ends the line."""

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self.name = name
        self.done = self.total = 0
        self._line = StatusLine(stream)
        self._started_s = time.monotonic()
        self._kept_tiles = self._new_cells = 0

    def __call__(self, progress: Progress) -> None:
        """Tell, unless something was told a moment ago."""
        first = self.total == 0
        self.done, self.total = progress.done, progress.total
        if progress.result is None:
            self._kept_tiles = progress.done
        else:
            self._new_cells += len(progress.result.cells)
        last = self.done == self.total
        if first or last or self._line.due():
            self._line.tell(self._text(time.monotonic() - self._started_s))

    def close(self) -> None:
        """End the line that is being rewritten."""
        self._line.close()

    def _text(self, elapsed_s: float) -> str:
        text = f"{self.name}: tile {self.done}/{self.total}"
        new_tiles = self.done - self._kept_tiles
        if new_tiles == 0:
            return f"{text} ({self._kept_tiles} from the cache)" if self._kept_tiles else text
        left_s = (self.total - self.done) * elapsed_s / new_tiles
        rate = self._new_cells / max(elapsed_s, 1e-6)
        text += f" · {self._new_cells} cells · {rate:.0f} cells/s"
        return text if self.done == self.total else f"{text} · {_duration(left_s)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

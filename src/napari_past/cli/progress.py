"""How far a run is, on stderr: one line that is rewritten on a terminal, few lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
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


class ArchiveProgress:
    """Progress of many slides, several of them at a time perhaps. Thread-safe."""

    def __init__(self, slides: int, stream: TextIO | None = None) -> None:
        self.slides = slides
        self.done = 0
        self._line = StatusLine(stream)
        terminal = (sys.stderr if stream is None else stream).isatty()
        self._width = shutil.get_terminal_size().columns - 1 if terminal else None
        self._lock = threading.Lock()
        self._under_way: dict[str, SlideProgress] = {}

    def slide(self, name: str) -> SlideProgress:
        """What is called after every tile of a slide that begins now."""
        progress = SlideProgress(self, name)
        with self._lock:
            self._under_way[name] = progress
            if self._line.due() or self.done == 0:
                self._line.tell(self._text())
        return progress

    def finished(self, name: str) -> None:
        """A slide is done with, however it went."""
        with self._lock:
            self.done += 1
            self._under_way.pop(name, None)
            if self._line.due():
                self._line.tell(self._text())

    def tell(self) -> None:
        """Show how far all is, unless something was told a moment ago."""
        with self._lock:
            if self._line.due():
                self._line.tell(self._text())

    def note(self, text: str) -> None:
        """A sentence on a line of its own, which stays."""
        with self._lock:
            self._line.note(f"napari-past: {text}")

    def say(self, text: str) -> None:
        """Lines on stdout, with nothing of ours in them."""
        with self._lock:
            self._line.close()
            print(text, flush=True)

    def close(self) -> None:
        """End the line that is being rewritten."""
        with self._lock:
            self._line.close()

    def _text(self) -> str:
        parts = [f"{self.done}/{self.slides} slides"]
        parts += [slide.text for slide in self._under_way.values()]
        text = " · ".join(parts)
        if self._width is None or len(text) <= self._width:
            return text
        # What is wider than the terminal could not be rewritten in place.
        return f"{text[: self._width - 1]}…"


class SlideProgress:
    """One slide of many."""

    def __init__(self, archive: ArchiveProgress, name: str) -> None:
        self.text = name
        self._archive, self._name = archive, name

    def __call__(self, progress: Progress) -> None:
        """Tell, unless something was told a moment ago."""
        self.text = f"{self._name}: tile {progress.done}/{progress.total}"
        self._archive.tell()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

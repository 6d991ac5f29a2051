"""How far a cohort is, on stderr."""

from __future__ import annotations

from functools import cached_property
from typing import TextIO

from napari_past.engine import Progress
from napari_past.status_line import StatusLine
from past_training.slide_level.bags.choices import Watch
from past_training.slide_level.cohort.cohort import CohortSlide


class PrepareProgress:
    """Which slide of how many, and which tile of it; `close` ends the line."""

    def __init__(self, slides: int, stream: TextIO | None = None) -> None:
        self.done = 0
        """Slides that are encoded and summarised."""
        self._slides = slides
        self._name = ""
        self._line = StatusLine(stream)

    @cached_property
    def watch(self) -> Watch:
        """What `prepare` tells."""
        return Watch(self._look, self._begin, self._tile)

    def note(self, text: str) -> None:
        """A sentence on a line of its own."""
        self._line.note(f"note: {text}")

    def close(self) -> None:
        """End the line that is being rewritten."""
        self._line.close()

    def _look(self, done: int, slide: CohortSlide) -> None:
        if self._line.due():
            self._line.tell(f"looking at slide {done + 1}/{self._slides}: {slide.name}")

    def _begin(self, done: int, slide: CohortSlide) -> None:
        self.done, self._name = done, slide.name
        self._line.tell(f"slide {done + 1}/{self._slides}: {slide.name}")

    def _tile(self, progress: Progress) -> None:
        if self._line.due():
            self._line.tell(
                f"slide {self.done + 1}/{self._slides}: {self._name}, tile "
                f"{progress.done}/{progress.total}"
            )

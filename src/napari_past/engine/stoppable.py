"""Tiles that a worker may be told to leave half done. Runs in the worker."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

from napari_past.cells import Detector
from napari_past.engine.measured import MeasuredStain
from napari_past.engine.plan import ModelRef
from napari_past.engine.seam import run_tile
from napari_past.types import SlideRef, TileResult, TileSpec

ENCODED = "napari-past: cells encoded"
"""Topic of the news of how far tiles are: (name, cells)."""
_stopped: deque[str] = deque(maxlen=1000)
"""Names of those that were told to stop. Every worker is told, and few run the tile."""


def run_stoppable(
    name: str,
    slide: SlideRef,
    tile: TileSpec,
    model: ModelRef | MeasuredStain,
    detector: Detector,
    threads: int,
) -> TileResult:
    """`run_tile`, until `stop` is called in this process with the same name.

    Raises
    ------
    Cancelled
        It was told to stop. Other errors are those of `run_tile`.
    """

    def tell(done: int) -> None:
        if done:
            _log(name, done)

    return run_tile(slide, tile, model, detector, threads, lambda: name in _stopped, tell)


def _log(name: str, done: int) -> None:
    from distributed import get_worker

    with suppress(ValueError):  # nobody listens: this is no worker
        get_worker().log_event(ENCODED, (name, done))


def stop(name: str) -> None:
    """Have `run_stoppable` end at the next batch of crops."""
    _stopped.append(name)

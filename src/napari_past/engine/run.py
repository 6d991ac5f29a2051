"""Running a plan: every tile that the store lacks, in this process or by workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

from napari_past.engine.plan import Plan
from napari_past.engine.queue import TileQueue
from napari_past.engine.seam import run_tile, unforeseen
from napari_past.engine.store import Store
from napari_past.engine.workers import Workers
from napari_past.errors import Cancelled, PastError
from napari_past.types import TileResult, TileSpec

ASK_S = 0.1
"""How often a run asks whether it is cancelled while no tile is done."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    done: int
    total: int
    result: TileResult | None
    """The tile that was just computed; None for those that the store had."""


OnTile = Callable[[Progress], None]


def run_plan(
    plan: Plan,
    store: Store,
    workers: Workers | None = None,
    on_tile: OnTile = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[TileSpec, ...]:
    """Compute and store the tiles that are missing; returns those that could not be read.

    Parameters
    ----------
    workers
        Where `run_tile` runs; None for this process, one tile after the other.
    on_tile
        Told after each tile, in the caller's thread.
    cancelled
        Asked between tiles, and within those whose cells are encoded crop by crop; finished tiles
        stay in the store.

    Raises
    ------
    Cancelled
    CannotWrite
        The store's disk is full or read-only.
    SlideChanged, SlideUnreachable
        The slide is another one by now, or its place does not answer.
    WorkerFailed
        The processes cannot be started, were lost again and again, have not enough memory, or fail
        in a way that nobody foresaw.
    """
    store.describe(plan)
    finished = store.finished(plan.tiles)
    missing = [tile for tile in plan.tiles if tile not in finished]
    done, total = len(plan.tiles) - len(missing), len(plan.tiles)
    on_tile(Progress(done, total, None))
    unreadable: list[TileSpec] = []
    results = _computed_here if workers is None else partial(_computed_by, workers)
    for result in results(plan, store, missing, cancelled):
        if result.unreadable:
            unreadable.append(result.tile)
        done += 1
        on_tile(Progress(done, total, result))
    return tuple(sorted(unreadable, key=lambda tile: (tile.row, tile.column)))


def _computed_here(
    plan: Plan, store: Store, tiles: Sequence[TileSpec], cancelled: Callable[[], bool]
) -> Iterator[TileResult]:
    for tile in tiles:
        _check(cancelled)
        result = store.read(tile) if store.has(tile) else None
        if result is None:
            detector = plan.detector_for(tile)
            try:
                result = run_tile(plan.slide, tile, plan.model, detector, plan.threads, cancelled)
            except PastError:
                raise
            except Exception as exc:  # a GPU's driver, a library: told as a worker's would be
                raise unforeseen(exc) from exc
            store.write(result)
        yield result


def _computed_by(
    workers: Workers,
    plan: Plan,
    store: Store,
    tiles: Sequence[TileSpec],
    cancelled: Callable[[], bool],
) -> Iterator[TileResult]:
    told: SimpleQueue[TileResult | PastError] = SimpleQueue()
    tile_queue = TileQueue(workers, plan, store, told.put, told.put)
    try:
        tile_queue.want(tiles)
        for _ in tiles:
            while True:
                _check(cancelled)
                try:
                    result = told.get(timeout=ASK_S)
                    break
                except Empty:
                    continue
            if isinstance(result, PastError):
                raise result
            yield result
    finally:
        tile_queue.close()


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("Cancelled; finished tiles are kept, and the next run goes on from there.")

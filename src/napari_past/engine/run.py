"""Running a plan: every tile that the store lacks, in this process or in an executor's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from napari_past.engine.plan import Plan
from napari_past.engine.run_tile import run_tile
from napari_past.engine.store import Store
from napari_past.errors import Cancelled, WorkerFailed
from napari_past.types import TileResult, TileSpec

IN_FLIGHT = 4


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
    executor: Executor | None = None,
    on_tile: OnTile = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[TileSpec, ...]:
    """Compute and store the tiles that are missing; returns those that could not be read.

    Parameters
    ----------
    executor
        Where `run_tile` runs: any `concurrent.futures.Executor`; None for this process.
    on_tile
        Told after each tile, in the caller's thread.
    cancelled
        Asked between tiles; finished tiles stay in the store.

    Raises
    ------
    Cancelled
    CannotWrite
        The store's disk is full or read-only.
    WorkerFailed
        A worker process was lost.
    """
    missing = [tile for tile in plan.tiles if not store.has(tile)]
    done, total = len(plan.tiles) - len(missing), len(plan.tiles)
    on_tile(Progress(done, total, None))
    unreadable: list[TileSpec] = []
    for result in _results(plan, missing, executor, cancelled):
        store.write(result)
        if result.unreadable:
            unreadable.append(result.tile)
        done += 1
        on_tile(Progress(done, total, result))
    return tuple(unreadable)


def _results(
    plan: Plan, tiles: list[TileSpec], executor: Executor | None, cancelled: Callable[[], bool]
) -> Iterator[TileResult]:
    if executor is None:
        for tile in tiles:
            _check(cancelled)
            yield run_tile(plan.slide, tile, plan.model, plan.detector.narrowed(tile.rect))
        return
    waiting = list(reversed(tiles))
    running: set[Future[TileResult]] = set()
    try:
        while waiting or running:
            _check(cancelled)
            while waiting and len(running) < IN_FLIGHT:
                tile = waiting.pop()
                detector = plan.detector.narrowed(tile.rect)
                running.add(executor.submit(run_tile, plan.slide, tile, plan.model, detector))
            finished, running = wait(running, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as exc:
        raise WorkerFailed(
            "The process that analyses tiles was lost (often for lack of memory); close other "
            "programs and start again: finished tiles are kept."
        ) from exc
    finally:
        for future in running:
            future.cancel()


def _check(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("Cancelled; finished tiles are kept, and the next run goes on from there.")

"""What is wanted now, in order: a wish list that may change at any time."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial

from napari_past.engine.plan import Plan
from napari_past.engine.seam import unforeseen
from napari_past.engine.store import Store
from napari_past.engine.workers import Workers
from napari_past.errors import PastError
from napari_past.types import TileResult, TileSpec


class TileQueue:
    """Tiles of one plan, computed by workers in the order in which they are wanted.

    A result is stored before it is told. A tile that the store has already, from another process
    perhaps, is read and told instead of computed. After an error nothing is wanted any more, until
    `want` is called again.

    Parameters
    ----------
    on_result
        Told each tile that is done or found unreadable, once, in a thread of the queue's.
    on_error
        Told what went wrong, in the same thread: an error of `run_tile`, `WorkerFailed`, or
        `CannotWrite`.
    """

    def __init__(
        self,
        workers: Workers,
        plan: Plan,
        store: Store,
        on_result: Callable[[TileResult], None],
        on_error: Callable[[PastError], None],
    ) -> None:
        self._workers = workers
        self._plan = plan
        self._store = store
        self._on_result = on_result
        self._on_error = on_error
        self._lock = threading.Lock()
        self._waiting: deque[TileSpec] = deque()
        self._wanted: frozenset[TileSpec] = frozenset()
        self._in_flight: dict[TileSpec, Future[TileResult] | None] = {}
        self._told: set[TileSpec] = set()
        self._closed = False
        self._events: queue.SimpleQueue[tuple[TileSpec, Future[TileResult]] | None]
        self._events = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def want(self, tiles: Sequence[TileSpec]) -> None:
        """Replace the wish list; returns at once.

        Tiles in flight finish, but where a model encodes crop by crop: its tiles may take a minute,
        and those that are no longer wanted are left. Tiles that were told before, unreadable ones
        among them, are passed over.
        """
        with self._lock:
            if self._closed:
                return
            passed = self._told | self._in_flight.keys()
            self._wanted = frozenset(tiles)
            self._waiting = deque(tile for tile in dict.fromkeys(tiles) if tile not in passed)
            if self._thread is None and self._waiting:
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()
        self._events.put(None)

    @property
    def pending(self) -> int:
        """Tiles that wait or are in flight."""
        with self._lock:
            return len(self._waiting) + len(self._in_flight)

    def close(self) -> None:
        """Want nothing and tell nothing more; returns at once.

        Tiles in flight, as far as they are not left as by `want`, are still stored when they are
        done, unless the workers end before.
        """
        with self._lock:
            self._closed = True
            self._wanted = frozenset()
            self._waiting.clear()
        self._events.put(None)

    def _serve(self) -> None:
        self._store.describe(self._plan)
        event: tuple[TileSpec, Future[TileResult]] | None = None
        while True:
            try:
                if event is not None:
                    self._take(*event)
                self._leave_unwanted()
                self._fill()
            except Exception as exc:  # else whoever waits for tiles would wait for ever
                self._fail(event, exc)
            with self._lock:
                if self._closed and not self._in_flight:
                    return
            event = self._events.get()

    def _fill(self) -> None:
        """Submit what is wanted first, as long as workers have room."""
        while True:
            with self._lock:
                if not self._waiting or len(self._in_flight) >= self._workers.width:
                    return
                tile = self._waiting.popleft()
                self._in_flight[tile] = None
            try:
                stored = self._store.read(tile) if self._store.has(tile) else None
                if stored is not None:
                    self._tell(stored)
                    continue
                future = self._workers.submit(self._plan, tile)
            except PastError as exc:
                self._give_up(tile, exc)
                continue
            with self._lock:
                self._in_flight[tile] = future
            future.add_done_callback(partial(self._done, tile))

    def _leave_unwanted(self) -> None:
        if not self._plan.model.crops:
            return
        with self._lock:
            for tile, future in list(self._in_flight.items()):
                if tile not in self._wanted and future is not None and future.cancel():
                    del self._in_flight[tile]  # at once: it may be wanted again

    def _done(self, tile: TileSpec, future: Future[TileResult]) -> None:
        self._events.put((tile, future))

    def _take(self, tile: TileSpec, future: Future[TileResult]) -> None:
        try:
            result = future.result()
            self._store.write(result)
        except CancelledError:
            with self._lock:
                if self._in_flight.get(tile) is future:
                    del self._in_flight[tile]
        except PastError as exc:
            self._give_up(tile, exc)
        else:
            self._tell(result)

    def _tell(self, result: TileResult) -> None:
        with self._lock:
            self._told.add(result.tile)
            self._in_flight.pop(result.tile, None)
            closed = self._closed
        if not closed:
            self._on_result(result)

    def _fail(self, event: tuple[TileSpec, Future[TileResult]] | None, error: Exception) -> None:
        with self._lock:
            for tile in [t for t, future in self._in_flight.items() if future is None]:
                del self._in_flight[tile]  # it was being submitted
        self._give_up(None if event is None else event[0], unforeseen(error))

    def _give_up(self, tile: TileSpec | None, error: PastError) -> None:
        with self._lock:
            self._waiting.clear()
            if tile is not None:
                self._in_flight.pop(tile, None)
            closed = self._closed
        if not closed:
            self._on_error(error)

"""What is computed now: first what the eye rests on, then what was asked for, then the ring."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from qtpy.QtCore import QObject, QTimer, Signal

from napari_past.engine import TileQueue, Workers
from napari_past.errors import PastError
from napari_past.plugin.session import Session
from napari_past.plugin.timers import settling_timer
from napari_past.types import Rect, TileResult, TileSpec

BATCH_MS = 120
"""Results are shown together that come within this time: drawing costs more than a tile's cells."""
CLOCK_MS = 1000


class Stainer(QObject):
    """One queue for Live and for runs, so that they share tiles and never compute one twice."""

    arrived = Signal()
    """Cells were added to the session's table, or tiles were found unreadable."""
    changed = Signal()
    """A run began, went on or ended."""
    failed = Signal(object)
    """The `PastError` that ended the work; nothing is wanted any more."""
    _told = Signal()

    def __init__(self, workers: Workers, parent: QObject) -> None:
        super().__init__(parent)
        self._workers = workers
        self._session: Session | None = None
        self._queue: TileQueue | None = None
        self._results: deque[TileResult] = deque()
        self._error: PastError | None = None
        self._seen: list[TileSpec] = []
        self._ring: list[TileSpec] = []
        self._run: list[TileSpec] = []
        self.run_total = 0
        """Tiles of the run that goes on, finished ones included; 0 without one."""
        self._began: float | None = None
        """When there was something to do after there was nothing."""
        self._cells = 0
        """That came since."""
        self._timer = settling_timer(self, BATCH_MS, self._take)
        self._clock = QTimer(self)
        self._clock.setInterval(CLOCK_MS)
        self._clock.timeout.connect(self.changed)
        # Emitted in the workers' threads, received here: layers change in the GUI thread alone.
        self._told.connect(self._on_told)

    @property
    def running(self) -> bool:
        """Whether a run that was asked for goes on."""
        return bool(self._run)

    @property
    def run_done(self) -> int:
        return self.run_total - len(self._run)

    @property
    def waiting_in_view(self) -> int:
        """Tiles in view that are not finished."""
        return len(self._seen)

    @property
    def busy(self) -> bool:
        """Whether anything is wanted, the ring included."""
        return bool(self._seen or self._run or self._ring)

    @property
    def cells_per_s(self) -> float:
        """Cells that were encoded a second since work began; 0 while none were."""
        if self._began is None:
            return 0.0
        cells = self._cells + self._workers.cells_under_way
        return cells / max(time.monotonic() - self._began, 1e-3)

    def set_session(self, session: Session | None) -> None:
        """Work on another slide or model; what was wanted is forgotten, what is done is stored."""
        if self._queue is not None:
            self._queue.close()
        self._queue = None
        self._session = session
        self._results.clear()
        self._error = None
        self._forget()
        if session is not None:
            self._queue = TileQueue(
                self._workers, session.whole, session.store, self._on_result, self._on_error
            )
        self.changed.emit()

    def warm(self) -> None:
        """Have the workers ready before they are needed: torch takes seconds to import."""
        if self._session is not None:
            self._workers.warm(self._session.whole.model)

    def follow(self, view: Rect | None) -> None:
        """Want the tiles in view, centre first, then their neighbours; None wants none of them."""
        session = self._session
        self._seen, self._ring = [], []
        if session is not None and view is not None:
            self._seen = [t for t in session.tiles_in(view) if not session.finished(t)]
            self._ring = [t for t in session.ring_around(view) if not session.finished(t)]
        self._ask()

    def run(self, tiles: Sequence[TileSpec]) -> None:
        """Want these tiles too, until they are done or the run is cancelled."""
        session = self._session
        if session is None:
            return
        self.run_total = len(tiles)
        self._run = [tile for tile in tiles if not session.finished(tile)]
        if not self._run:
            self.run_total = 0
        self._ask()

    def cancel(self) -> None:
        """End the run; tiles in flight still come, and what is finished is kept."""
        self._run, self.run_total = [], 0
        self._ask()

    def close(self) -> None:
        """Want nothing more; the workers end."""
        self.set_session(None)
        self._workers.close()

    def _ask(self) -> None:
        if not self.busy:
            self._began = None
        elif self._began is None:
            self._began, self._cells = time.monotonic(), 0
        self._run_clock()
        if self._queue is not None:
            self._queue.want(list(dict.fromkeys([*self._seen, *self._run, *self._ring])))
        self.changed.emit()

    def _run_clock(self) -> None:
        """While tiles take minutes, the rate is told between them."""
        session = self._session
        if session is not None and session.whole.model.crops and self.busy:
            self._clock.start()
        else:
            self._clock.stop()

    def _on_result(self, result: TileResult) -> None:
        self._results.append(result)
        self._told.emit()

    def _on_error(self, error: PastError) -> None:
        self._error = error
        self._told.emit()

    def _on_told(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _take(self) -> None:
        results = [self._results.popleft() for _ in range(len(self._results))]
        session = self._session
        if session is None:
            return
        if results:
            self._cells += session.add(results)
            done = session.finished
            self._seen = [tile for tile in self._seen if not done(tile)]
            self._ring = [tile for tile in self._ring if not done(tile)]
            self._run = [tile for tile in self._run if not done(tile)]
            if not self._run:
                self.run_total = 0
            self.arrived.emit()
        if not self.busy:
            self._began = None
            self._run_clock()
        error, self._error = self._error, None
        if error is not None:
            self._forget()
            self._ask()
            self.failed.emit(error)
        self.changed.emit()

    def _forget(self) -> None:
        self._seen, self._ring, self._run, self.run_total = [], [], [], 0

"""Work beside the GUI thread, with a result or a sentence at its end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

_STEP = 0.01
"""Of the whole: told no more often."""


class Job(QObject):
    """One piece of work in a thread. Its signals reach slots of QObjects in the GUI thread.

    Connect bound methods of QObjects only: Qt calls any other callable in the sender's thread,
    where layers must not be touched.
    """

    ended = Signal(object)
    """The exception that ended it; None after success."""
    went = Signal()
    """`share` is another."""

    def __init__(self, work: Callable[[Job], object]) -> None:
        super().__init__()
        self.result: object = None
        """What the work returned; set when `ended` tells of no exception."""
        self._work = work
        self._cancelled = threading.Event()
        self.share: float | None = None
        """How much is done, 0 to 1; None where the work does not tell."""

    def start(self) -> None:
        """Begin in another thread."""
        create_worker(self._run, _start_thread=True)

    def cancel(self) -> None:
        """End at the next tile."""
        self._cancelled.set()

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def tell(self, share: float) -> None:
        """How much is done, from the thread of the work."""
        if self.share is None or share - self.share >= _STEP or share >= 1:
            self.share = share
            # The window may have been closed meanwhile, and this object with it.
            with contextlib.suppress(RuntimeError):
                self.went.emit()

    def _run(self) -> None:
        outcome: BaseException | None = None
        try:
            self.result = self._work(self)
        except Exception as exc:  # it is shown by the GUI thread
            outcome = exc
        # The window may have been closed meanwhile, and this object with it.
        with contextlib.suppress(RuntimeError):
            self.ended.emit(outcome)

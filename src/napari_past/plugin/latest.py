"""Work whose result is out of date as soon as it is asked for again: only the last one counts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

Work = Callable[[], object]


class Latest(QObject):
    """Runs work in a thread, one at a time; of what is asked meanwhile only the last is run."""

    ready = Signal(object)
    """The result of the last work that was asked for."""
    _ended = Signal(object, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._next: Work | None = None
        self._running = False
        self._ended.connect(self._on_ended)

    @property
    def busy(self) -> bool:
        return self._running

    def ask(self, work: Work) -> None:
        """Run this work, after the running one and in place of any that waits."""
        self._next = work
        if not self._running:
            self._start()

    def drop(self) -> None:
        """Forget what waits, and the result of what runs."""
        self._next = _nothing if self._running else None

    def _start(self) -> None:
        work, self._next = self._next, None
        assert work is not None
        self._running = True
        threading.Thread(target=self._work, args=(work,), daemon=True).start()

    def _work(self, work: Work) -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as exc:  # it is raised again in the GUI thread
            error = exc
        # The window may have been closed meanwhile, and this object with it.
        with contextlib.suppress(RuntimeError):
            self._ended.emit(result, error)

    def _on_ended(self, result: object, error: BaseException | None) -> None:
        self._running = False
        if self._next is not None:
            self._start()
        elif error is not None:
            raise error
        elif result is not None:
            self.ready.emit(result)


def _nothing() -> None:
    return None

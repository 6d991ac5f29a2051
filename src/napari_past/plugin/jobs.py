"""Jobs one after the other, in the order in which they were asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, Signal

from napari_past.errors import Cancelled, PastError
from napari_past.plugin.job import Job

Work = Callable[[Job], object]
Done = Callable[[object], None]


class Jobs(QObject):
    """Starts jobs and hands over what they return; errors are shown in one sentence."""

    began = Signal()
    ended = Signal()
    idle = Signal()
    """No job runs and none waits."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self.label = ""
        """What the running job does."""
        self._done: Done | None = None
        self._waiting: deque[tuple[Work, Done | None, str]] = deque()

    @property
    def busy(self) -> bool:
        return self._job is not None

    def run(self, work: Work, label: str, done: Done | None = None) -> None:
        """Start some work after the jobs that were asked for before.

        Parameters
        ----------
        work
            Runs in another thread.
        done
            Told its result, in the GUI thread, unless it was cancelled.
        """
        self._waiting.append((work, done, label))
        self._start()

    def clear(self) -> None:
        """Cancel the running job and forget those that wait."""
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()

    def _start(self) -> None:
        if self._job is not None or not self._waiting:
            return
        work, self._done, self.label = self._waiting.popleft()
        self._job = Job(work)
        self._job.ended.connect(self._on_ended)
        self.began.emit()
        self._job.start()

    def _on_ended(self, error: BaseException | None) -> None:
        job, done = self._job, self._done
        self._job = self._done = None
        if error is None:
            # What was cancelled is of another slide or model, however far it got.
            if done is not None and job is not None and not job.cancelled():
                done(job.result)
        elif isinstance(error, PastError):
            if not isinstance(error, Cancelled):
                show_error(str(error))
        else:
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self.ended.emit()
        self._start()
        if self._job is None:
            self.idle.emit()

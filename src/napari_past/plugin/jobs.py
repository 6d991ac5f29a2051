"""Jobs one after the other: the running one, and at most one that waits for its end."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, Signal

from napari_past.errors import Cancelled, PastError
from napari_past.plugin.job import Job

Work = Callable[[Job], object]
Done = Callable[[object], None]


class Jobs(QObject):
    """Starts jobs and passes on what they tell; errors are shown in one sentence."""

    progressed = Signal(object)
    found = Signal(object)
    began = Signal(str)
    failed = Signal(object)
    """The exception that ended a job, after it was shown; a `Cancelled` is not shown."""
    ended = Signal()
    idle = Signal()
    """No job runs and none waits."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._done: Done | None = None
        self._next: tuple[Work, Done | None, str] | None = None

    @property
    def busy(self) -> bool:
        return self._job is not None

    @property
    def waiting(self) -> bool:
        return self._next is not None

    def run(self, work: Work, label: str, done: Done | None = None, replace: bool = False) -> None:
        """Start some work, or have it wait for the running job's end.

        Parameters
        ----------
        work
            Runs in another thread.
        done
            Told its result, in the GUI thread.
        replace
            Cancel the running job.
        """
        if self._job is not None:
            self._next = (work, done, label)
            if replace:
                self._job.cancel()
            return
        job = Job(work)
        self._job, self._done = job, done
        job.progressed.connect(self.progressed)
        job.found.connect(self.found)
        job.ended.connect(self._on_ended)
        self.began.emit(label)
        job.start()

    def cancel(self) -> None:
        """Have the running job end at its next tile."""
        if self._job is not None:
            self._job.cancel()

    def clear(self) -> None:
        """Cancel the running job and forget the one that waits."""
        self._next = None
        self.cancel()

    def _on_ended(self, error: BaseException | None) -> None:
        job, done = self._job, self._done
        self._job = self._done = None
        if error is None:
            if done is not None and job is not None:
                done(job.result)
        elif isinstance(error, PastError):
            if not isinstance(error, Cancelled):
                show_error(str(error))
            self.failed.emit(error)
        else:
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self.ended.emit()
        waiting, self._next = self._next, None
        if waiting is not None and self._job is None:
            work, done, label = waiting
            self.run(work, label, done)
        if self._job is None:
            self.idle.emit()

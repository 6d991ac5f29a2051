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
    went = Signal()
    """The running job told how much is done."""
    ended = Signal()
    idle = Signal()
    """No job runs and none waits."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self.label = ""
        """What the running job does."""
        self._done: Done | None = None
        self.stoppable = False
        """Whether the user may end the running job alone."""
        self._waiting: deque[tuple[Work, Done | None, str, bool]] = deque()

    @property
    def busy(self) -> bool:
        return self._job is not None

    @property
    def share(self) -> float | None:
        """How much of the running job is done, 0 to 1; None where that is not known."""
        return None if self._job is None else self._job.share

    def run(
        self, work: Work, label: str, done: Done | None = None, stoppable: bool = False
    ) -> None:
        """Start some work after the jobs that were asked for before.

        Parameters
        ----------
        work
            Runs in another thread.
        done
            Told its result, in the GUI thread, unless it was cancelled.
        stoppable
            Whether nothing but this job depends on its result.
        """
        self._waiting.append((work, done, label, stoppable))
        self._start()

    def clear(self) -> None:
        """Cancel the running job and forget those that wait."""
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()

    def stop(self) -> None:
        """Cancel the running job where the user may; those that wait go on."""
        if self._job is not None and self.stoppable:
            self._job.cancel()

    def _start(self) -> None:
        if self._job is not None or not self._waiting:
            return
        work, self._done, self.label, self.stoppable = self._waiting.popleft()
        self._job = Job(work)
        self._job.ended.connect(self._on_ended)
        self._job.went.connect(self.went)
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
            # What was cancelled may fail because its slide is closed already.
            if not isinstance(error, Cancelled) and job is not None and not job.cancelled():
                show_error(str(error))
        else:
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self.ended.emit()
        self._start()
        if self._job is None:
            self.idle.emit()

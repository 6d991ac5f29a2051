"""Slow work on measured tissue: one piece at a time, with progress and cancel."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, Signal

from napari_past.errors import Cancelled, PastError
from napari_past.plugin.job import Job
from napari_past.validation.predictor import Watch

Work = Callable[[Watch], object]
Done = Callable[[object], None]
_STEP = 0.01
"""Of the whole: told no more often."""


class MeasuredWork(QObject):
    """Runs what was asked for last; what ran before is cancelled and hands nothing over."""

    changed = Signal()
    """Work began, went on, or ended."""
    _went = Signal(object, float)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._done: Done = lambda result: None
        self._next: tuple[Work, str, Done] | None = None
        self.label = ""
        """What is done now."""
        self.share: float | None = None
        """How much of it, 0 to 1; None where that is not known."""
        self._went.connect(self._on_went)

    @property
    def busy(self) -> bool:
        return self._job is not None

    def run(self, work: Work, label: str, done: Done) -> None:
        """Do some work beside the GUI thread, in place of what goes on.

        Parameters
        ----------
        done
            Told its result, in the GUI thread, unless it was cancelled.
        """
        self._next = work, label, done
        if self._job is None:
            self._start()
        else:
            self._job.cancel()

    def cancel(self) -> None:
        """End what goes on, and forget what waits."""
        self._next = None
        if self._job is not None:
            self._job.cancel()

    def _start(self) -> None:
        if self._next is None or self._job is not None:
            return
        work, self.label, self._done = self._next
        self._next, self.share = None, None

        def watched(job: Job) -> object:
            told = [0.0]

            def on_share(share: float) -> None:
                if share - told[0] >= _STEP or share >= 1:
                    told[0] = share
                    # The window may have been closed meanwhile.
                    with suppress(RuntimeError):
                        self._went.emit(job, share)

            return work(Watch(on_share=on_share, cancelled=job.cancelled))

        self._job = Job(watched)
        self._job.ended.connect(self._on_ended)
        self._job.start()
        self.changed.emit()

    def _on_went(self, job: object, share: float) -> None:
        if job is self._job:
            self.share = share
            self.changed.emit()

    def _on_ended(self, error: BaseException | None) -> None:
        job, self._job = self._job, None
        assert job is not None
        if error is None and not job.cancelled():
            self._done(job.result)
        elif isinstance(error, PastError):
            if not isinstance(error, Cancelled):
                show_error(str(error))
        elif error is not None:
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self._start()
        self.changed.emit()

"""Work that a dialog asks for: one piece at a time, and how it ended is told there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Signal

from napari_past.errors import Cancelled, PastError
from napari_past.plugin.job import Job


class WorkDialog(Protocol):
    """What a dialog must be able to."""

    def set_running(self, running: bool) -> None:
        """Allow what can be done while work goes on, or once it does not."""

    def tell(self, text: str) -> None:
        """Show a sentence; an empty one takes it away."""


class DialogJob(QObject):
    """Runs work beside the GUI thread for a dialog.

    Parameters
    ----------
    mistaken
        Told a mistake of the user's; None has the dialog tell it.
    """

    changed = Signal()
    """Some work is begun, or ended."""

    def __init__(
        self,
        dialog: WorkDialog,
        parent: QObject,
        mistaken: Callable[[PastError], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._dialog = dialog
        self._mistaken = mistaken or (lambda error: dialog.tell(str(error)))
        self._job: Job | None = None
        self._done: Callable[[object], None] = lambda _: None
        self._target: Path | None = None

    @property
    def busy(self) -> bool:
        return self._job is not None

    def run(
        self,
        work: Callable[[Job], object],
        done: Callable[[object], None],
        target: Path | None = None,
    ) -> None:
        """Begin; what is done now is for the dialog to tell after this.

        Parameters
        ----------
        done
            Told what the work returned, in the GUI thread, unless it was cancelled.
        target
            The file that is being written, if any.
        """
        self._done, self._target = done, target
        self._job = Job(work)
        self._job.ended.connect(self._on_ended)
        self._dialog.set_running(True)
        self._job.start()
        self.changed.emit()

    def cancel(self) -> None:
        """End at the next step."""
        if self._job is not None:
            self._job.cancel()

    def _on_ended(self, error: BaseException | None) -> None:
        job, self._job = self._job, None
        assert job is not None
        dialog = self._dialog
        dialog.set_running(False)
        dialog.tell("")
        if error is None and not job.cancelled():
            self._done(job.result)
        elif error is None and self._target is not None:
            dialog.tell(f"{self._target} was written before it could be cancelled.")
        elif error is None or isinstance(error, Cancelled):
            dialog.tell("Cancelled.")
        elif isinstance(error, PastError):
            self._mistaken(error)
        else:
            dialog.tell("It could not be done; see the notification.")
            notification_manager.receive_error(type(error), error, error.__traceback__)
        self.changed.emit()

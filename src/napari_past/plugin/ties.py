"""What must be undone when the widget goes: connections, keys, the worker process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from qtpy.QtCore import QCoreApplication, QObject


class Ties:
    """Undoes things once, newest first. No QObject, so that it outlives the widget by a moment."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []

    def add(self, undo: Callable[[], object]) -> None:
        self._undo.append(undo)

    def cut_with(self, widget: QObject) -> None:
        """Undo everything when a widget goes, or with the application."""
        # Slots of the widget are gone when `destroyed` is emitted; this is no QObject.
        widget.destroyed.connect(self.cut)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.cut)

    def cut(self) -> None:
        """Undo everything; what is gone already counts as undone."""
        undo, self._undo = self._undo, []
        for step in reversed(undo):
            with contextlib.suppress(RuntimeError, ValueError, KeyError, AttributeError):
                step()

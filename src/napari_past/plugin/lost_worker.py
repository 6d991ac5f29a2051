"""News of workers that were lost."""

from __future__ import annotations

from qtpy.QtCore import QObject, Signal


class LostWorker(QObject):
    """Hands the workers' news, told in their threads, to the GUI thread."""

    told = Signal(str)

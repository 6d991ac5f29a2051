"""Timers that fire once, some time after they were last started."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


def settling_timer(parent: QObject, milliseconds: int, slot: Callable[[], None]) -> QTimer:
    """A timer that calls `slot` once nothing has started it anew for so long."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(slot)
    return timer

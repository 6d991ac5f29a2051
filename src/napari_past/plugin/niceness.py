"""Threads that give way to the viewer's."""

from __future__ import annotations

import contextlib
import os
import threading

NICENESS = 10


def give_way() -> None:
    """Lower the priority of the thread that calls, on Linux; elsewhere nothing happens."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)

"""dask's log lines, kept from the terminal while our workers live: users read our sentences."""

from __future__ import annotations

import logging
import threading

_lock = threading.Lock()
_users = 0
_before: dict[logging.Handler, int] = {}


def hush() -> None:
    """Let dask's handlers pass critical messages alone, until `unhush` was called as often."""
    global _users
    import distributed  # noqa: F401  # makes the handlers

    with _lock:
        _users += 1
        for handler in logging.getLogger("distributed").handlers:
            _before.setdefault(handler, handler.level)
            handler.setLevel(logging.CRITICAL)


def unhush() -> None:
    """Give the handlers their levels back when nobody needs quiet any more."""
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            for handler, level in _before.items():
                handler.setLevel(level)
            _before.clear()

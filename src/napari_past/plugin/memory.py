"""Memory that is free but that glibc keeps: several threads that read tiles leave much of it."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from functools import cache
from typing import Any

_M_ARENA_MAX = -8
"""Of mallopt(3)."""
_ARENAS = 2


@cache
def _libc() -> Any:
    """glibc, or None where the memory is somebody else's to manage."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None


def keep_in_few_pools() -> None:
    """Have all threads share two pools of memory: each of its own keeps what it once needed.

    Without it the viewer took 0.9 GB after a slide of 61,440 px had been opened, with it 0.7 GB.
    """
    libc = _libc()
    if libc is not None:
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


@cache
def spare_collector() -> None:
    """Keep the garbage collector off all objects there are now; once in the life of a process.

    napari has it run in the GUI thread for each layer that goes, and colours come and go as layers.
    Over the million objects of what is imported a run takes twenty times as long as without them,
    and hardly any of them goes before the process does.
    """
    gc.freeze()


def give_back() -> None:
    """Return what is free to the system, beside the caller's thread.

    Without it the viewer grew by 25 MB a minute of panning, all of it free.
    """
    libc = _libc()
    if libc is not None:
        # ctypes lets go of the interpreter's lock while it runs.
        threading.Thread(target=libc.malloc_trim, args=(0,), daemon=True).start()

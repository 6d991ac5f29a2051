"""A process that runs tiles for a scheduler: ``python -m napari_past.engine.worker_process``.

Started by `local_cluster` with one line of JSON on its standard input, whose end means that the
parent is gone. Prints one line when it is ready.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path

READY = "ready"
_EXPENDABLE = "500"
"""Of -1000 to 1000: where memory runs out, Linux ends this process before the viewer."""
_scratch: list[str] = []
"""Folders of dask's that end with this process."""


def main() -> None:
    """Serve until the parent closes our standard input or is gone."""
    order = json.loads(sys.stdin.buffer.readline())
    # From here on: a worker whose scheduler is gone would wait for it for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _give_way(order["niceness"])
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_serve(order["scheduler"], order["name"], order["threads"]))


async def _serve(scheduler: str, name: str, threads: int) -> None:
    import dask
    from distributed import Worker

    # A profile of the tiles, taken a hundred times a second, is for nobody.
    dask.config.set({"distributed.worker.profile.enabled": False})
    async with Worker(
        scheduler,
        name=name,
        nthreads=threads,
        host="127.0.0.1",
        # Without a limit: dask would pause a worker near one, and a run would seem to hang.
        memory_limit=0,
        dashboard_address="127.0.0.1:0",
    ) as worker:
        worker.http_server.stop()
        _scratch.append(worker.local_directory)
        print(READY, flush=True)
        await worker.finished()


def _end_with_parent() -> None:
    # Not by `sys.stdin`: Python could not close what a thread reads from, were it to end by itself.
    while os.read(0, 1024):
        pass
    for folder in _scratch:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _give_way(niceness: int) -> None:
    import psutil

    with suppress(OSError, psutil.Error):
        if niceness > 0 and sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif niceness > 0:
            os.nice(niceness)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE)


if __name__ == "__main__":
    main()

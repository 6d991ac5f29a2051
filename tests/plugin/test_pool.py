from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from napari_past.plugin.pool import TilePool


@pytest.fixture
def pool():
    pool = TilePool()
    yield pool
    pool.close()


def test_worker_is_replaced_after_it_was_lost(pool: TilePool) -> None:
    first = pool.executor.submit(os.getpid).result(60)
    assert first != os.getpid()
    pool.close()
    psutil.wait_procs([psutil.Process(first)] if psutil.pid_exists(first) else [], timeout=20)
    assert not psutil.pid_exists(first)
    assert pool.executor.submit(os.getpid).result(60) != first


def test_worker_ends_with_a_killed_viewer() -> None:
    script = (
        "import os, time\n"
        "from napari_past.plugin.pool import TilePool\n"
        "if __name__ == '__main__':\n"
        "    print(TilePool().executor.submit(os.getpid).result(60), flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as viewer:
        assert viewer.stdout is not None
        worker = psutil.Process(int(viewer.stdout.readline()))
        viewer.send_signal(signal.SIGKILL)
    _gone, alive = psutil.wait_procs([worker], timeout=20)
    assert not alive

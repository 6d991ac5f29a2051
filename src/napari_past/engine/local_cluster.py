"""Worker processes on this machine, and a scheduler for them in this one.

dask's own `LocalCluster` spawns by `multiprocessing`, which runs the user's main script again in
every worker (a script that opens a viewer would open another), and writes thread settings into this
process's environment. So the processes are started here, as commands of their own; the scheduler,
its protocol and what happens to the tiles of a lost worker are dask's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from napari_past.engine.worker_process import READY
from napari_past.errors import WorkerFailed

ALLOWED_FAILURES = 2
"""A tile that was running when more workers than these were lost is not tried again."""
CLOSE_S = 1.0
"""A worker that is asked to end and does not within so long is killed."""
START_S = 120.0
"""A worker that is not ready after so long will never be: importing torch took 5 s on two cores."""
_SINGLE_THREADED = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


class LocalCluster:
    """A scheduler in this process and workers in others.

    Parameters
    ----------
    processes
        Environment variables for each.
    threads
        Tiles at once in each process.
    niceness
        0 to 19: how far the workers stand back.
    on_lost
        Told, in a thread of ours, whenever a worker has gone; another is being started.
    on_failure
        Told when workers die as soon as they are started, and no other is.
    """

    def __init__(
        self,
        processes: Sequence[Mapping[str, str]],
        threads: int,
        niceness: int,
        on_lost: Callable[[], None],
        on_failure: Callable[[WorkerFailed], None],
    ) -> None:
        self.width = threads * len(processes)
        self.address = ""
        self._environments = processes
        self._order = {"threads": threads, "niceness": niceness}
        self._on_lost, self._on_failure = on_lost, on_failure
        self._changed = threading.Condition()
        self._closed = False
        self._ready = False
        self._failure: WorkerFailed | None = None
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._scheduler: Any = None

    def start(self) -> None:
        """Start everything and wait until the first worker is ready; only once.

        Raises
        ------
        WorkerFailed
        """
        # The workers import what they need while the scheduler is made.
        begun = [self._begin(k) for k in range(len(self._environments))]
        scheduler = _scheduler()
        with self._changed:
            self._scheduler = scheduler
            self.address = scheduler.scheduler_address
            closed = self._closed
        if closed:
            scheduler.close(timeout=CLOSE_S)
        for k, (process, said) in enumerate(begun):
            self._order_to(k, process)
            threading.Thread(target=self._keep, args=(k, process, said), daemon=True).start()
        self._wait()

    def _wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._failure or self._closed, START_S)
            failure = self._failure
            if failure is None and not self._ready:
                failure = WorkerFailed("The process that analyses tiles did not start; try again.")
        if failure is not None:
            self.close()
            raise failure

    def _begin(self, k: int) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        process, said = _begun(self._environments[k])
        with self._changed:
            self._running[k] = process
            closed = self._closed
        if closed:  # before it could be ended with the others
            process.kill()
        return process, said

    def _order_to(self, k: int, process: subprocess.Popen[bytes]) -> None:
        order = {**self._order, "scheduler": self.address, "name": f"napari-past-{k}"}
        assert process.stdin is not None
        with suppress(OSError, ValueError):  # it is gone, which is told by who watches it
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()

    def _keep(self, k: int, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        """Watch one process, and start another in its place when it is gone."""
        while True:
            assert process.stdout is not None
            with process.stdout:
                was_ready = process.stdout.readline().strip() == READY.encode()
                if was_ready:
                    with self._changed:
                        self._ready = True
                        self._changed.notify_all()
                    process.stdout.read()
            code = process.wait()
            with said:
                if self._closed:
                    return
                if not was_ready:
                    self._fail(code, said)
                    return
            self._on_lost()
            process, said = self._begin(k)
            self._order_to(k, process)

    def _fail(self, code: int, said: IO[bytes]) -> None:
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with code {code}"
        failure = WorkerFailed(
            f"The process that analyses tiles cannot be started ({reason}); install napari-past "
            "anew, or free some memory, and start again."
        )
        with self._changed:
            self._failure = failure
            self._changed.notify_all()
        self._on_failure(failure)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers there are now."""
        with self._changed:
            return [p.pid for p in self._running.values() if p.poll() is None]

    def close(self) -> None:
        """End the workers, whatever they are doing. Idempotent, from any thread."""
        with self._changed:
            self._closed = True
            running, self._running = list(self._running.values()), {}
            scheduler, self._scheduler = self._scheduler, None
            self._changed.notify_all()
        for process in running:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()
        for process in running:
            try:
                process.wait(CLOSE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if scheduler is not None:
            scheduler.close(timeout=CLOSE_S)


def _scheduler() -> Any:
    from distributed import Scheduler, SpecCluster

    options = {
        "host": "127.0.0.1",
        "port": 0,
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
        "allowed_failures": ALLOWED_FAILURES,
    }
    cluster: Any = SpecCluster(
        workers={},
        scheduler={"cls": Scheduler, "options": options},
        silence_logs=False,
    )
    cluster.loop.add_callback(cluster.scheduler.http_server.stop)
    return cluster


def _begun(environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A process that waits for its order, and the file of what it complains about."""
    said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
    # Where a worker finds modules is where this process found them, as with `multiprocessing`.
    paths = os.pathsep.join(path for path in sys.path if path)
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        # Ctrl-C in a terminal goes to the whole group: what it means is decided by the parent.
        options["process_group"] = 0
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "napari_past.engine.worker_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env={**os.environ, **_SINGLE_THREADED, "PYTHONPATH": paths, **environment},
        **options,
    )
    return process, said


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES would be for each GPU that torch could use; torch stays out.

    Importing torch takes seconds, and on Windows it fails after Qt was imported.
    """
    found = find_spec("torch")
    if found is None or found.origin is None:
        return []
    libraries = Path(found.origin).parent / "lib"
    if not any(libraries.glob("*torch_cuda.*")):
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")]
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        told = subprocess.run(
            [command, "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return told.stdout.split() if told.returncode == 0 else []

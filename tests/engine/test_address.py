"""Tiles and archives by a scheduler and workers that a user started."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_past.engine import Store, Workers, run_plan
from napari_past.errors import WorkerFailed
from napari_past.sample import write_phantom

WAIT_S = 120


def wait_for(what) -> None:
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


class Dask:
    """A scheduler and workers as users start them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._command = [sys.executable, "-m", "dask"]
        self._local = ["--host", "127.0.0.1", "--no-dashboard"]
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", self._file)
        wait_for(lambda: self._file.exists() and self._file.read_text().endswith("}"))
        self.address = json.loads(self._file.read_text())["address"]
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self) -> None:
        self.workers.append(self._start("worker", self.address, "--no-nanny", "--nthreads", "2"))

    def _start(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, *map(str, arguments), *self._local],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    started = Dask(tmp_path_factory.mktemp("dask"))
    try:
        with Workers(started.address) as workers, pytest.MonkeyPatch.context() as patch:
            patch.setattr("napari_past.engine.workers.CONNECT_S", 3.0)
            with pytest.raises(WorkerFailed, match=f"{started.address} has no workers"):
                workers.start()
        for _ in range(2):
            started.add_worker()
        yield started
    finally:
        started.close()


def test_workers_at_an_address(
    dask, stain_plan, tmp_path, stain_bytes, tile_bytes, worker_processes
) -> None:
    store = Store(stain_plan.key, tmp_path)
    with Workers(dask.address) as workers:
        before = worker_processes()
        workers.start()
        wait_for(lambda: workers.width == 6)
        run_plan(stain_plan, store, workers)
        assert worker_processes() == before
    assert tile_bytes(store) == stain_bytes


def test_an_archive_at_an_address(dask, command, stain_plan, tmp_path) -> None:
    """Two slides at once by two workers, to the same bytes as on this machine alone."""
    folder = tmp_path / "slides"
    folder.mkdir()
    for name, size in (("a.tif", (256, 208)), ("b.tif", (208, 256))):
        write_phantom(folder / name, *size)
    contents = []
    for place in ((), ("--scheduler", dask.address, "--jobs", "2")):
        out = tmp_path / f"out{len(place)}"
        named = ("--detector", stain_plan.detector.name, "--no-cache", *place)
        done = command("run", folder, "--out", out, *named)
        assert done.code == 0, done.err
        files = [file for file in out.iterdir() if file.is_file()]
        contents.append({file.name: file.read_bytes() for file in files})
    assert contents[0] == contents[1]
    assert {"a.h5ad", "b.h5ad", "summary.csv"} <= contents[0].keys()


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal 9")
def test_lost_workers_and_a_lost_scheduler(
    dask, stain_plan, tmp_path, stain_bytes, tile_bytes, monkeypatch
) -> None:
    """Last of those at the address: nothing of it is left."""
    monkeypatch.setattr("napari_past.engine.workers.CONNECT_S", 5.0)
    told: list[str] = []
    store = Store(stain_plan.key, tmp_path)
    with Workers(dask.address, device="cpu", on_lost=told.append) as workers:
        workers.start()

        def kill_one(progress) -> None:
            if progress.result is not None and dask.workers[0].poll() is None:
                dask.workers[0].kill()

        run_plan(stain_plan, store, workers, on_tile=kill_one)
        wait_for(lambda: told)
        assert "was lost; its tiles are tried again by the one that is left" in told[0]
        assert tile_bytes(store) == stain_bytes

        future = [workers.submit(stain_plan, tile) for tile in stain_plan.tiles * 40][-1]
        dask.scheduler.kill()
        with pytest.raises(WorkerFailed, match=f"{dask.address} was lost; start it again"):
            future.result(WAIT_S)
        assert workers.failure is not None
        with pytest.raises(WorkerFailed, match="was lost; start it again"):
            workers.submit(stain_plan, stain_plan.tiles[0])


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:1", "nonsense", "", "foo://here:1"])
def test_address_where_nobody_answers(wrong) -> None:
    with Workers(wrong) as workers, pytest.raises(WorkerFailed, match="No dask scheduler answers"):
        workers.start()

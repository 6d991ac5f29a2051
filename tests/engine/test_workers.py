"""Tiles run in processes: the same bytes, whatever is killed, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest

from napari_past.engine import Store, TileQueue, Workers, make_plan, run_plan, stoppable
from napari_past.engine.local_cluster import ALLOWED_FAILURES
from napari_past.errors import BadModel, Cancelled, CannotWrite, PastError, WorkerFailed
from napari_past.model import load_model
from napari_past.types import TileResult, TileSpec

WAIT_S = 120


# ---- tiles ------------------------------------------------------------------------------------


def test_nothing_is_started_before_it_is_needed(worker_processes) -> None:
    before = worker_processes()
    with Workers(device="cpu", threads=3) as workers:
        assert workers.width > 3
    assert worker_processes() == before
    with pytest.raises(WorkerFailed, match="ended"):
        workers.start()


# First, while no worker has loaded torch: losing three of them is cheap then.
@pytest.mark.skipif(sys.platform == "win32", reason="has no signal 9")
def test_tile_that_ends_every_worker_is_given_up(
    stain_plan, workers, lost, worker_processes
) -> None:
    from broken_detector import Deadly

    plan = stain_plan
    workers.start()
    seen = {p.pid for p in worker_processes()}
    future = workers.submit(replace(plan, detector=Deadly(RuntimeError())), plan.tiles[0])
    while not future.done():
        seen.update(p.pid for p in worker_processes())
        time.sleep(0.1)  # each has half a second of imports before it
    with pytest.raises(WorkerFailed, match="again and again"):
        future.result()
    assert len(seen) > ALLOWED_FAILURES
    assert len(lost) == 1, "told once, whatever happens"
    assert not workers.submit(plan, plan.tiles[0]).result(WAIT_S).unreadable


def test_workers_give_the_same_bytes(plan, tmp_path, workers, undisturbed, tile_bytes) -> None:
    store = Store(plan.key, tmp_path)
    told = []
    assert run_plan(plan, store, workers, on_tile=told.append) == ()
    assert {p.result.tile for p in told[1:]} == set(plan.tiles)
    assert [p.done for p in told] == list(range(len(plan.tiles) + 1))
    assert tile_bytes(store) == tile_bytes(undisturbed().store)


def test_nothing_but_this_machine_is_listened_to(workers, worker_processes) -> None:
    workers.start()
    listening = [
        c.laddr
        for p in [psutil.Process(), *worker_processes()]
        for c in p.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    ]
    # Other tests may keep a process for the session: each has a scheduler here.
    sockets = 2 * len(worker_processes())
    assert len(listening) == sockets, "scheduler and worker alone, no pages for browsers"
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_this_process_keeps_its_environment(workers, worker_processes) -> None:
    """dask's own cluster would set it to a single thread, for good."""
    workers.start()
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ
    [worker] = worker_processes()
    assert worker.environ()["OMP_NUM_THREADS"] == "1"
    if hasattr(os, "nice"):
        assert worker.nice() == psutil.Process().nice() + 1


def test_errors_of_a_tile_come_unchanged(plan, workers) -> None:
    other = replace(plan, model=replace(plan.model, sha256="0" * 64))
    with pytest.raises(BadModel, match="changed since"):
        workers.submit(other, plan.tiles[0]).result(WAIT_S)
    from broken_detector import Broken

    broken = replace(plan, detector=Broken(ZeroDivisionError("by nought")))
    with pytest.raises(WorkerFailed, match="ZeroDivisionError: by nought"):
        workers.submit(broken, plan.tiles[0]).result(WAIT_S)
    full = replace(plan, detector=Broken(MemoryError()))
    with pytest.raises(WorkerFailed, match="not enough memory"):
        workers.submit(full, plan.tiles[0]).result(WAIT_S)


# ---- the queue --------------------------------------------------------------------------------


class Listener:
    """What a queue told, from its thread."""

    def __init__(self) -> None:
        self.tiles: list[TileSpec] = []
        self.errors: list[PastError] = []
        self.threads: set[int] = set()
        self._changed = threading.Condition()

    def result(self, result: TileResult) -> None:
        with self._changed:
            self.tiles.append(result.tile)
            self.threads.add(threading.get_ident())
            self._changed.notify_all()

    def error(self, error: PastError) -> None:
        with self._changed:
            self.errors.append(error)
            self._changed.notify_all()

    def wait(self, tiles: int = 0, errors: int = 0) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.tiles) >= tiles and len(self.errors) >= errors, WAIT_S
            )


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_queue_tells_what_it_stored_and_nothing_twice(plan, tmp_path, workers, listener) -> None:
    store = Store(plan.key, tmp_path)
    queue = TileQueue(workers, plan, store, listener.result, listener.error)
    wanted = list(reversed(plan.tiles))
    queue.want(wanted)
    assert queue.pending == len(plan.tiles)
    queue.want([*plan.tiles, *plan.tiles])
    listener.wait(tiles=len(plan.tiles))
    assert sorted(listener.tiles, key=plan.tiles.index) == list(plan.tiles)
    assert threading.get_ident() not in listener.threads
    assert store.finished(plan.tiles) == set(plan.tiles)
    queue.want(wanted)
    assert queue.pending == 0
    queue.close()


def test_queue_forgets_what_is_no_longer_wanted(plan, tmp_path, workers, listener) -> None:
    store = Store(plan.key, tmp_path)
    narrow = Narrow(workers)
    queue = TileQueue(narrow, plan, store, listener.result, listener.error)
    queue.want(plan.tiles[:5])
    while not narrow.submitted:
        time.sleep(0.01)
    queue.want([plan.tiles[5]])
    listener.wait(tiles=2)
    assert listener.tiles == [plan.tiles[0], plan.tiles[5]]
    queue.close()


@pytest.fixture
def crop_plan(slide, tmp_path_factory, write_tiny_model):
    """The whole slide's, with a model that encodes crop by crop."""
    path = tmp_path_factory.mktemp("crops") / "crops.safetensors"
    crop = {"mode": "crop", "stride_px": 1, "halo_px": 48, "crop_px": 96}
    return make_plan(slide, load_model(write_tiny_model(path, encoder=crop), "cpu"))


def test_a_tile_of_crops_is_left_half_done(crop_plan, tmp_path, workers) -> None:
    from broken_detector import Patient

    def run(name):
        found = Patient(str(tmp_path))
        return stoppable.run_stoppable(
            name, crop_plan.slide, crop_plan.tiles[0], crop_plan.model, found, 1
        )

    with ThreadPoolExecutor(2) as pool:
        left, finished = pool.submit(run, "left"), pool.submit(run, "finished")
        while not (tmp_path / "told").exists():
            stoppable.stop("left")
            time.sleep(0.05)
        with pytest.raises(Cancelled):
            left.result(WAIT_S)
        assert len(finished.result(WAIT_S).cells) == 2


def test_queue_leaves_tiles_of_crops_that_are_no_longer_wanted(
    crop_plan, tmp_path, workers, listener
) -> None:
    from broken_detector import Patient

    plan = replace(crop_plan, detector=Patient(str(tmp_path)))
    store = Store(plan.key, tmp_path / "store")
    queue = TileQueue(workers, plan, store, listener.result, listener.error)
    tile, other = plan.tiles[:2]
    queue.want([tile])
    wait_for(lambda: (tmp_path / "began").exists())
    queue.want([])
    wait_for(lambda: queue.pending == 0)
    # The worker that is at it was told, though it is in the middle of the tile.
    wait_for(lambda: (tmp_path / "told").exists())
    # It is free again, and what was left may be wanted anew.
    assert not workers.submit(crop_plan, other).result(WAIT_S).unreadable
    assert store.finished(plan.tiles) == set()
    (tmp_path / "told").unlink()
    queue.want([tile])
    queue.want([tile, other])
    while len(listener.tiles) < 2:
        workers._client.run(stoppable.stop, "another")
        time.sleep(0.05)
    assert sorted(listener.tiles, key=plan.tiles.index) == [tile, other]
    queue.close()


def test_workers_tell_how_far_tiles_of_crops_are(crop_plan, workers) -> None:
    before = workers.cells_under_way
    futures = [workers.submit(crop_plan, tile) for tile in crop_plan.tiles]
    heard = set()
    while not all(future.done() for future in futures):
        heard.add(workers.cells_under_way)
        time.sleep(0.005)
    cells = sum(len(future.result().cells) for future in futures)
    assert before == workers.cells_under_way == 0
    assert heard - {0}, "nothing was told"
    assert max(heard) < cells


def wait_for(what) -> None:
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


class Narrow:
    """Workers with room for one tile at a time."""

    width = 1

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.submitted: list[TileSpec] = []

    def submit(self, plan, tile):
        self.submitted.append(tile)
        return self._workers.submit(plan, tile)


def test_stored_tiles_are_told_and_not_computed(
    plan, tmp_path, workers, listener, undisturbed
) -> None:
    """As those that another process finished after a run had looked."""
    store = Store(plan.key, tmp_path)
    store.write(undisturbed().store.read(plan.tiles[3]))
    narrow = Narrow(workers)
    queue = TileQueue(narrow, plan, store, listener.result, listener.error)
    queue.want(plan.tiles[2:4])
    listener.wait(tiles=2)
    assert narrow.submitted == [plan.tiles[2]]
    queue.close()


def test_closed_queue_tells_nothing_and_stores_what_was_in_flight(
    plan, tmp_path, workers, listener
) -> None:
    store = Store(plan.key, tmp_path)
    narrow = Narrow(workers)
    queue = TileQueue(narrow, plan, store, listener.result, listener.error)
    queue.want(plan.tiles)
    while not narrow.submitted:
        time.sleep(0.01)
    queue.close()
    while queue.pending:
        time.sleep(0.01)
    assert store.finished(plan.tiles) == {plan.tiles[0]}
    assert listener.tiles == []
    queue.want(plan.tiles)
    assert queue.pending == 0


def test_error_empties_the_wish_list(plan, tmp_path, workers, listener, monkeypatch) -> None:
    store = Store(plan.key, tmp_path)
    queue = TileQueue(Narrow(workers), plan, store, listener.result, listener.error)

    def refuse(result: TileResult) -> None:
        raise CannotWrite("full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", refuse)
        queue.want(plan.tiles)
        listener.wait(errors=1)
    assert [str(error) for error in listener.errors] == ["full"]
    assert queue.pending == 0
    queue.want(plan.tiles[:1])
    listener.wait(tiles=1)
    queue.close()


def test_cancelled_run_keeps_what_is_finished(plan, tmp_path, workers) -> None:
    store = Store(plan.key, tmp_path)
    done: list[int] = []
    with pytest.raises(Cancelled, match="finished tiles are kept"):
        run_plan(
            plan,
            store,
            workers,
            on_tile=lambda p: done.append(p.done),
            cancelled=lambda: bool(done) and done[-1] >= 1,
        )
    assert store.finished(plan.tiles)


def test_two_runs_at_once_share_a_store(plan, tmp_path, workers, undisturbed, tile_bytes) -> None:
    stores = [Store(plan.key, tmp_path) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda store: run_plan(plan, store, workers), stores))
    assert tile_bytes(stores[0]) == tile_bytes(undisturbed().store)


def test_results_of_threads_do_not_depend_on_their_number(plan, workers, undisturbed) -> None:
    """Two tiles at once in a worker, one torch thread each, against one after the other."""
    futures = [workers.submit(plan, tile) for tile in plan.tiles * 2]
    for tile, future in zip(plan.tiles * 2, futures, strict=True):
        expected = undisturbed().store.read(tile)
        np.testing.assert_array_equal(future.result(WAIT_S).embeddings, expected.embeddings)


# ---- losses -----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal 9")
def test_lost_worker_is_replaced_and_its_tiles_tried_again(
    stain_plan, tmp_path, workers, lost, stain_bytes, tile_bytes, worker_processes
) -> None:
    workers.start()
    [worker] = worker_processes()

    def kill_in_mid_run(progress) -> None:
        if progress.done == 1:
            worker.kill()

    store = Store(stain_plan.key, tmp_path)
    run_plan(stain_plan, store, workers, on_tile=kill_in_mid_run)
    assert tile_bytes(store) == stain_bytes
    [other] = worker_processes()
    assert other.pid != worker.pid
    assert len(lost) == 1
    assert "another one was started" in lost[0]


def test_rested_workers_start_again_with_the_next_tile(
    stain_plan, tmp_path, workers, stain_bytes, tile_bytes, worker_processes
) -> None:
    workers.start()
    before = worker_processes()
    workers.rest()
    assert not before & worker_processes()
    store = Store(stain_plan.key, tmp_path)
    run_plan(stain_plan, store, workers)
    assert tile_bytes(store) == stain_bytes


def test_a_tile_that_ends_while_all_are_given_up_is_answered_once() -> None:
    """Dask tells of its end in one thread while another tells that the processes are lost."""
    workers, future, told = Workers(), Future(), Future()
    workers._unfinished.add(future)
    told.set_result(None)
    workers._failed(WorkerFailed("lost"))
    workers._finished(future, told)
    with pytest.raises(WorkerFailed, match="lost"):
        future.result(0)


def test_finished_tiles_are_let_go(stain_plan, tmp_path, workers) -> None:
    """Else a worker keeps them all, and another computes them again when it is lost."""
    gc.disable()
    try:
        run_plan(stain_plan, Store(stain_plan.key, tmp_path), workers)
        wait_for(lambda: not workers._client.futures)
    finally:
        gc.enable()


def test_worker_that_cannot_start_is_told_in_a_sentence(
    plan, monkeypatch, tmp_path, worker_processes
) -> None:
    import distributed  # noqa: F401  # here it can be imported

    (tmp_path / "distributed.py").write_text("raise ImportError('no such luck')")
    with Workers(device="cpu", threads=1) as workers:
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        with pytest.raises(WorkerFailed, match=r"cannot be started \(ImportError: no such luck\)"):
            workers.start()
        with pytest.raises(WorkerFailed):
            workers.submit(plan, plan.tiles[0])
    assert not [p for p in worker_processes() if str(tmp_path) in p.environ().get("PYTHONPATH", "")]


def test_closing_does_not_wait_for_the_start(worker_processes) -> None:
    workers = Workers(device="cpu", threads=1)
    before = {p.pid for p in worker_processes()}
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(workers.start)
        while {p.pid for p in worker_processes()} == before and not starting.done():
            time.sleep(0.01)
        workers.close()
        with pytest.raises(WorkerFailed):
            starting.result(WAIT_S)
    assert {p.pid for p in worker_processes()} == before


VIEWER = """
import time
from napari_past.engine import Workers
print("main module", flush=True)  # once, though it is not guarded
workers = Workers(device="cpu", threads=1)
{before}
workers.start()
print("started", flush=True)
{after}
"""


def viewer(before: str = "", after: str = "") -> subprocess.Popen[str]:
    """A script that starts workers in its main module, unguarded."""
    return subprocess.Popen(
        [sys.executable, "-c", VIEWER.format(before=before, after=after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="has no signal 9")
@pytest.mark.parametrize("when", ["running", "starting"])
def test_workers_end_with_a_killed_viewer(when) -> None:
    ends = {"before": "", "after": "time.sleep(600)"}
    if when == "starting":
        ends["before"] = (
            "import threading, psutil\n"
            "threading.Thread(target=workers.start, daemon=True).start()\n"
            "while not psutil.Process().children(): time.sleep(0.01)\n"
            "print('starting', flush=True); time.sleep(600)"
        )
    with viewer(**ends) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "main module\n"
        process.stdout.readline()
        workers = psutil.Process(process.pid).children(recursive=True)
        assert workers
        process.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive


TWO = "other = Workers(device='cpu', threads=1); other.start(); workers.close(); other.close()"


@pytest.mark.parametrize("after", [TWO, "raise KeyboardInterrupt"])
def test_ends_are_quiet(after) -> None:
    with viewer(after=after) as process:
        out, err = process.communicate(timeout=WAIT_S)
    assert out == "main module\nstarted\n"
    told = [line for line in err.splitlines() if "distributed" in line or "asyncio" in line]
    assert not told, err
    if "raise" not in after:
        assert err == ""

"""Processes that run tiles, by dask.distributed: of our own on this machine, or at an address."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from napari_past.engine.gpu_share import share_gpus
from napari_past.engine.local_cluster import CLOSE_S, LocalCluster, gpus
from napari_past.engine.lost_worker import LOST, as_told, lost_at
from napari_past.engine.measured import MeasuredStain
from napari_past.engine.plan import ModelRef, Plan
from napari_past.engine.quiet import hush, unhush
from napari_past.engine.seam import warm_up
from napari_past.engine.stoppable import ENCODED, run_stoppable, stop
from napari_past.errors import PastError, WorkerFailed
from napari_past.types import TileResult, TileSpec

CONNECT_S = 10.0


class Workers:
    """Processes of dask.distributed that run tiles. Making one is cheap and starts nothing.

    Without an address there is one process for each GPU, else one for the CPU, on this machine
    alone. Each runs several tiles at once, each of them with one thread of torch, so that results
    are the same to the bit whatever the number of threads. A process that is lost is replaced and
    its tiles are tried again. None outlives this process.

    Parameters
    ----------
    address
        Of a dask scheduler with workers that see the same files and have the same napari-past;
        None starts processes here.
    device
        "auto" (a process for each CUDA GPU where there are some), "cpu" or "cuda".
    threads
        Tiles at once on this machine; None takes all cores. The viewer leaves one to itself.
    niceness
        0 to 19: how far the processes stand back behind others.
    on_lost
        Told, in any thread, that a process was lost: of our own once, at an address each time.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        niceness: int = 0,
        on_lost: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._address = address
        self._device = device
        self._threads = threads
        self._niceness = niceness
        self._on_lost: Callable[[str], None] | None = on_lost
        self._starting = threading.Lock()
        self._state = threading.Lock()
        self._closed = self._hushed = False
        self._failure: WorkerFailed | None = None
        self._unfinished: set[Future[TileResult]] = set()
        self._encoded: dict[str, int] = {}
        """Cells that are encoded of tiles in flight, by the tile's name."""
        self._told: dict[str, Future[TileResult]] = {}
        """What dask tells of tiles in flight, by the tile's name."""
        self._local: LocalCluster | None = None
        self._client: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ---- beginning and end -------------------------------------------------------------------

    def start(self) -> None:
        """Start the processes, or connect, and wait until tiles can run. Thread-safe.

        Raises
        ------
        WorkerFailed
            A process cannot be started; nothing answers at the address, or has no workers.
        """
        with self._starting:
            self._check()
            if self._client is not None:
                return
            with self._state:
                if not self._hushed:
                    hush()
                    self._hushed = True
            address = self._started_here() if self._address is None else self._address
            client = self._connected(address)
            with self._state:
                closed = self._closed
                self._client = None if closed else client
            if closed:
                _end(client)
                self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise WorkerFailed("The processes that analyse tiles were ended; start them anew.")

    def _started_here(self) -> str:
        cards = [] if self._device == "cpu" else gpus()
        processes = [{"CUDA_VISIBLE_DEVICES": card} for card in cards] or [{}]
        threads = max(1, (self._threads or cores()) // len(processes))
        local = LocalCluster(processes, threads, self._niceness, self._lost, self._failed)
        with self._state:
            closed = self._closed
            self._local = None if closed else local
        if closed:
            self._check()
        local.start()
        return local.address

    def _connected(self, address: str) -> Any:
        from distributed import Client

        try:
            if self._address is not None:
                asyncio.run(_check_scheduler(address))
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as exc:
            raise WorkerFailed(
                f"No dask scheduler answers at {address}; start one with `dask scheduler` and "
                "`dask worker ADDRESS`, or leave the address out to use this machine."
            ) from exc
        client.subscribe_topic(ENCODED, self._hear)
        if self._address is not None:
            try:
                client.wait_for_workers(1, timeout=CONNECT_S)
            except TimeoutError as exc:
                _end(client)
                raise WorkerFailed(
                    f"The dask scheduler at {address} has no workers; start some with "
                    f"`dask worker {address}`."
                ) from exc
            if self._device != "cpu":
                share_gpus(client)
            client.subscribe_topic("all", lambda event: self._hear_of_workers(client, event))
        return client

    def _hear_of_workers(self, client: Any, event: tuple[float, Any]) -> None:
        """A worker at the address came or went; told in dask's own thread, which must not wait."""
        told = event[1] if isinstance(event[1], dict) else {}
        if told.get("action") == "add-worker" and self._device != "cpu":
            threading.Thread(target=share_gpus, args=(client,), daemon=True).start()
        elif told.get("action") == "remove-worker" and not told.get("expected"):
            threading.Thread(target=self._lost_elsewhere, args=(client,), daemon=True).start()

    def _lost_elsewhere(self, client: Any) -> None:
        left = _threads(client)
        on_lost = self._on_lost
        if left is not None and on_lost is not None and not self._closed:
            on_lost(lost_at(str(self._address), len(left)))

    def rest(self) -> None:
        """End the processes of this machine; the next tile starts them again.

        For when their memory is wanted for something else. Tiles in flight are lost. Does nothing
        to a scheduler at an address.
        """
        if self._address is None:
            with self._starting:
                self._end_processes()

    def close(self) -> None:
        """End the processes, whatever they are doing; tiles in flight are lost. Idempotent."""
        with self._state:
            self._closed = True
        self._end_processes()

    def _end_processes(self) -> None:
        with self._state:
            local, self._local = self._local, None
            client, self._client = self._client, None
            unfinished, self._unfinished = self._unfinished, set()
        for future in unfinished:
            future.cancel()
        if client is not None:
            _end(client)
        if local is not None:
            local.close()
        with self._state:
            hushed, self._hushed = self._hushed, False
        if hushed:
            unhush()

    # ---- work --------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """How many tiles should be in flight: those that run, and one more for every two of them,
        so that no thread waits while a result travels."""
        client, local = self._client, self._local
        if self._address is None:
            running = local.width if local is not None else self._threads or cores()
        else:
            running = 1 if client is None else sum((_threads(client) or {}).values())
        return running + max(1, running // 2)

    @property
    def failure(self) -> WorkerFailed | None:
        """Why no tile will run any more: nobody answers, or no process can be started."""
        return self._failure

    @property
    def cells_under_way(self) -> int:
        """Cells that are encoded of tiles that are not finished, where a model encodes crop by
        crop: a tile of a large tower takes minutes."""
        with self._state:
            return sum(self._encoded.values())

    def _hear(self, event: tuple[float, tuple[str, int]]) -> None:
        name, cells = event[1]
        with self._state:
            if name in self._encoded:
                self._encoded[name] = cells

    def warm(self, model: ModelRef | MeasuredStain) -> None:
        """Have every process load a model, and torch, while something else goes on."""

        def run() -> None:
            # A mistake in the model, or in starting, is told by the run that needs it.
            with suppress(PastError):
                self.start()
                from distributed import fire_and_forget

                client = self._client
                if client is not None:
                    for worker in client.nthreads():
                        fire_and_forget(client.submit(warm_up, model, workers=[worker], pure=False))

        threading.Thread(target=run, daemon=True).start()

    def submit(self, plan: Plan, tile: TileSpec) -> Future[TileResult]:
        """Have a tile computed. Starts the processes where they are not, which takes seconds.

        What the future gives instead of a result is a `PastError` of `run_tile`, or `WorkerFailed`:
        memory ran out, or the processes are lost whenever they try this tile. It is cancelled when
        the workers are closed. Where it is cancelled, the tile is left: before it begins, or
        between two batches of crops.

        Raises
        ------
        WorkerFailed
            See `start`.
        """
        self.start()
        client = self._client
        if client is None:
            self._check()
        name = uuid4().hex
        detector = plan.detector_for(tile)
        try:
            told = client.get_executor(pure=False).submit(
                run_stoppable, name, plan.slide, tile, plan.model, detector, plan.threads
            )
        except (OSError, RuntimeError, ValueError) as exc:  # dask has given its connection up
            raise self._lost_scheduler() from exc
        future: Future[TileResult] = Future()
        with self._state:
            self._unfinished.add(future)
            self._encoded[name] = 0
            self._told[name] = told
        # Neither future holds the other: as long as dask's is there a worker keeps the result, and
        # computes it again where it is lost.
        future.add_done_callback(partial(self._forget, name))
        told.add_done_callback(partial(self._finished, future))
        return future

    def _forget(self, name: str, future: Future[TileResult]) -> None:
        with self._state:
            self._encoded.pop(name, None)
            told = self._told.pop(name, None)
        if told is not None and future.cancelled():
            self._leave(name, told)

    def _leave(self, name: str, told: Future[TileResult]) -> None:
        """Have no worker begin a tile, nor go on with it."""
        told.cancel()
        client = self._client
        if client is None:  # the processes are being ended
            return

        def tell() -> None:
            # Those that are being lost or closed need not be told.
            with suppress(OSError, RuntimeError, TimeoutError):
                client.run(stop, name, on_error="ignore")

        threading.Thread(target=tell, daemon=True).start()

    def _finished(self, future: Future[TileResult], told: Future[TileResult]) -> None:
        with self._state:
            open_yet = future in self._unfinished
            self._unfinished.discard(future)
        # Whoever takes it out is the one who answers: `_failed` may be about it in another thread.
        if not open_yet or not future.set_running_or_notify_cancel():
            return
        if told.cancelled():
            future.set_exception(self._lost_scheduler())
        elif (error := told.exception()) is not None:
            future.set_exception(as_told(error))
        else:
            future.set_result(told.result())

    def _lost_scheduler(self) -> WorkerFailed:
        """Why tiles were dropped; at an address none will run any more."""
        where = "" if self._address is None else f" at {self._address}"
        lost = WorkerFailed(
            f"The dask scheduler{where} was lost; start it again and repeat the run: finished "
            "tiles are kept."
        )
        with self._state:
            if self._failure is None and self._address is not None:
                self._failure = lost
            return self._failure or lost

    def _lost(self) -> None:
        with self._state:
            on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            on_lost(LOST)

    def _failed(self, failure: WorkerFailed) -> None:
        with self._state:
            self._failure = failure
            unfinished, self._unfinished = self._unfinished, set()
        for future in unfinished:
            if future.set_running_or_notify_cancel():
                future.set_exception(failure)


def _threads(client: Any) -> Mapping[str, int] | None:
    """Threads of each worker by its address; None where the scheduler does not answer."""
    try:
        threads: Mapping[str, int] = client.nthreads()
    except (OSError, RuntimeError, TimeoutError, ValueError, AttributeError):
        return None
    return threads


async def _check_scheduler(address: str) -> None:
    """Raise OSError or ValueError where no dask answers: a client would try on, log, and hang."""
    from distributed import Security
    from distributed.comm.addressing import get_address_host_port, parse_address
    from distributed.comm.core import connect

    scheme, place = parse_address(address)
    if scheme in ("tcp", "tls"):  # refused at once, where dask would try again and again
        host, port = get_address_host_port(f"{scheme}://{place}", strict=True)
        socket.create_connection((host, port), CONNECT_S).close()
    options = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(address, timeout=CONNECT_S, **options), CONNECT_S)
    await comm.close()


def cores() -> int:
    """Cores that this process may use: by affinity and control group, not by the machine's."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def _end(client: Any) -> None:
    client.close(timeout=CLOSE_S)

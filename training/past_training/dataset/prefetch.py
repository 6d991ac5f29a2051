"""Work done ahead of time in threads; the order of what comes out is that of what went in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
THREADS = "past-batches"
"""How the names of all threads begin."""
_POLL_S = 0.1


def ahead(works: Iterable[Callable[[], T]], workers: int, depth: int) -> Generator[T, None, None]:
    """What each work gives, in their order.

    Parameters
    ----------
    workers
        Threads; 0 does each when it is asked for.
    depth
        So many are begun before they are asked for.
    """
    if not workers:
        for work in works:
            yield work()
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, THREADS) as pool:
        try:
            for work in works:
                waiting.append(pool.submit(work))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_background(items: Generator[T, None, None], ready: int) -> Iterator[T]:
    """The same items, made by a thread that is at most `ready` ahead.

    What the thread raises is raised here. Whoever stops early stops the thread too.
    """
    queue: Queue[T | _End] = Queue(ready)
    stopped = Event()

    def put(item: T | _End) -> None:
        while not stopped.is_set():
            try:
                queue.put(item, timeout=_POLL_S)
                return
            except Full:
                continue

    def produce() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    break
            items.close()
        except BaseException as exc:
            failure = exc
        put(_End(failure))

    thread = Thread(target=produce, name=THREADS, daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.failure is not None:
            raise item.failure
    finally:
        stopped.set()
        thread.join()


class _End:
    """Nothing more comes, and why."""

    def __init__(self, failure: BaseException | None) -> None:
        self.failure = failure

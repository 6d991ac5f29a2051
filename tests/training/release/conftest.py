"""What all tests of making models share."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, and no more cores than a test needs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def interrupted_at(tmp_path) -> Callable[[str], contextlib.AbstractContextManager[None]]:
    """``with interrupted_at(".fit-*/steps.csv"):`` Ctrl-C as soon as there is such a file."""

    @contextlib.contextmanager
    def interrupted(pattern: str) -> Iterator[None]:
        done = threading.Event()

        def interrupt() -> None:
            while not done.wait(0.01):
                if list(tmp_path.glob(pattern)):
                    signal.raise_signal(signal.SIGINT)
                    return

        # A shell starts what it puts into the background deaf to interrupts.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        watch = threading.Thread(target=interrupt)
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()
            signal.signal(signal.SIGINT, before)

    return interrupted

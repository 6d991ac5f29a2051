from __future__ import annotations

import threading

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.errors import SlideUnreachable
from napari_past.plugin.fetched_pixels import BLOCK_PX, FetchedPixels
from napari_past.plugin.remote_levels import RemoteLevel

SHAPE = 1500, 1300
WHOLE = (0, SHAPE[0], 0, SHAPE[1])


class SlowLevel:
    """Answers once it is let, and fails while it is told to."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape = pixels, pixels.shape
        self.open, self.down, self.asked = threading.Event(), False, []

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        self.asked.append((key[0].start, key[1].start))
        assert self.open.wait(30), "nobody let it answer"
        if self.down:
            raise SlideUnreachable("The server does not answer.")
        return self.pixels[key]


@pytest.fixture
def slide():
    """(levels, the finest's pixels, an event for each change, FetchedPixels)."""
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 255, (*SHAPE, 3), np.uint8)
    levels = [SlowLevel(fine), SlowLevel(fine[::2, ::2].copy()), SlowLevel(fine[::4, ::4].copy())]
    levels[-1].open.set()
    changed = threading.Semaphore(0)
    fetched = FetchedPixels(levels, changed.release)
    yield levels, fine, changed, fetched
    for level in levels:
        level.open.set()
    fetched.close()


def wait_for(changed: threading.Semaphore, fetched: FetchedPixels) -> None:
    while fetched.busy:
        assert changed.acquire(timeout=30)


def test_what_is_not_there_is_shown_coarser_and_nobody_waits(slide) -> None:
    levels, fine, changed, fetched = slide
    window = (600, 900, 100, 300)
    first = fetched.glimpse(0, window)
    npt.assert_array_equal(
        first, np.repeat(np.repeat(fine[::4, ::4], 4, 0), 4, 1)[600:900, 100:300]
    )
    assert fetched.busy
    levels[0].open.set()
    wait_for(changed, fetched)
    npt.assert_array_equal(fetched.glimpse(0, window), fine[600:900, 100:300])
    # whole blocks are fetched, each once
    assert sorted(levels[0].asked) == [(BLOCK_PX, 0)]


def test_a_finer_level_takes_what_is_there_of_the_next_one(slide) -> None:
    levels, fine, changed, fetched = slide
    levels[1].open.set()
    fetched.glimpse(1, (0, 750, 0, 650))
    wait_for(changed, fetched)
    got = fetched.glimpse(0, (0, 200, 0, 200))
    npt.assert_array_equal(got, np.repeat(np.repeat(fine[::2, ::2], 2, 0), 2, 1)[:200, :200])


def test_a_server_that_is_down_is_told_once_and_asked_again(slide) -> None:
    levels, fine, changed, fetched = slide
    levels[0].down = True
    levels[0].open.set()
    fetched.glimpse(0, (0, 100, 0, 100))
    wait_for(changed, fetched)
    fetched.glimpse(0, (0, 100, 0, 100))
    assert len(levels[0].asked) == 1
    assert "does not answer" in str(fetched.take_error())
    assert fetched.take_error() is None
    levels[0].down = False
    fetched.glimpse(0, (0, 100, 0, 100))
    wait_for(changed, fetched)
    npt.assert_array_equal(fetched.glimpse(0, (0, 100, 0, 100)), fine[:100, :100])


def test_the_gui_thread_gets_a_glimpse_and_other_threads_the_pixels(slide) -> None:
    levels, fine, _, fetched = slide
    level = RemoteLevel(fetched, 0)
    assert level.shape == (*SHAPE, 3)
    coarse = np.repeat(np.repeat(fine[::4, ::4], 4, 0), 4, 1)
    npt.assert_array_equal(level[:, 10:20], coarse[: SHAPE[0], 10:20])
    levels[0].open.set()
    got = []
    thread = threading.Thread(target=lambda: got.append(np.asarray(level)))
    thread.start()
    thread.join(30)
    npt.assert_array_equal(got[0], fine)
    npt.assert_array_equal(RemoteLevel(fetched, 2)[5], fine[::4, ::4][5])

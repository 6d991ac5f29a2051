"""What is held at once does not grow with the dataset."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

from past_training.dataset.batches import Batches
from past_training.dataset.schema import PrepareConfig
from past_training.dataset.write import write_section

SETTINGS = {"patch_px": 32, "shard_patches": 32}
SHARD_BYTES = 32 * 32 * 32 * 3


def peak_bytes(work) -> int:
    """The most that is held beyond what was held before."""
    gc.collect()
    gc.freeze()  # what is there already is not looked at again: collecting is quick
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.unfreeze()


@pytest.fixture
def sizes(cells):
    """The same tissue with 128 and with 640 cells: 4 and 20 shards."""
    return cells("A", 128, neighbours=no_neighbours(128)), cells(
        "B", 640, neighbours=no_neighbours(640)
    )


def no_neighbours(rows):
    return np.zeros(rows + 1, np.int64), np.zeros(0, np.int64)


@pytest.mark.parametrize("workers", [0, 2])
def test_reading(write, sizes, workers):
    dataset = write(*sizes, **SETTINGS)

    def an_epoch_of(name):
        def work():
            batches = Batches(
                dataset.select(sections=[name]),
                ("VIM",),
                16,
                seed=0,
                workers=workers,
                pool_shards=2,
            )
            for k, _ in enumerate(batches.epoch(0)):
                if k % 8 == 0:
                    gc.collect()  # asyncio, in zarr, leaves cycles that Python clears at leisure

        return work

    an_epoch_of("A")()  # what is imported and cached the first time
    small, large = (peak_bytes(an_epoch_of(name)) for name in ("A", "B"))
    # The larger has 16 shards more; threads that read ahead may each hold some.
    assert large - small < 8 * SHARD_BYTES


def test_writing(sizes, tmp_path):
    config = PrepareConfig(**SETTINGS)
    genes = {gene: k for k, gene in enumerate(sizes[0].genes)}
    work = [
        lambda section=section: write_section(tmp_path, section, config, genes) for section in sizes
    ]
    small, large = (peak_bytes(one) for one in work)
    # Rows are held as a whole, and pixels a shard at a time, of which the larger has 16 more.
    assert large - small < 8 * SHARD_BYTES

"""One section held out of itself: contiguous blocks of its rows, with a buffer around each.

Where there is a single section this is the honest way to hold something out. Rows drawn at random
would have training rows for neighbours, whose pixels and profiles are nearly their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from napari_past.validation.strips import beyond, strips
from past_training.dataset.placement import IntArray
from past_training.dataset.read import PairedDataset
from past_training.dataset.schema import BadDataset
from past_training.dataset.splits import Fold

BLOCKS = 4
LEAST_ROWS = 8
"""Of a block: a correlation over fewer rows says nothing."""


def leave_block_out(
    dataset: PairedDataset, buffer_um: float, blocks: int = BLOCKS
) -> Iterator[Fold]:
    """Each of a few strips of a section held out in turn; the folds say nothing of other sections.

    The rows that have a nucleus and a count are cut into strips of equal numbers along the longer
    axis of the tissue.

    Parameters
    ----------
    dataset
        Of one selected section.
    buffer_um
        Rows nearer than this to any row that is held out are neither trained on nor held out. Where
        it is as wide as what a model sees around a row, to both sides, no training row shows pixels
        of a row that is held out.
    blocks
        How many strips, at least 2.

    Raises
    ------
    BadDataset
        There are several sections, a strip would have fewer than 8 rows, or the buffer leaves fewer
        rows to train on than are held out.
    """
    if len(dataset.sections) != 1:
        names = ", ".join(record.name for record in dataset.sections)
        raise BadDataset(
            f"Blocks are held out of a single section, but {dataset.name} has "
            f"{len(dataset.sections)} ({names}); hold out whole sections or patients."
        )
    if blocks < 2:
        raise BadDataset(f"At least 2 blocks can be held out in turn, but got {blocks}; give more.")
    if not 0 <= buffer_um < math.inf:
        raise BadDataset(
            f"The buffer around a block is 0 µm or wider, but got {buffer_um:g}; give another."
        )
    name = dataset.sections[0].name
    rows = np.flatnonzero(dataset.usable_rows(name))
    if len(rows) < LEAST_ROWS * blocks:
        raise BadDataset(
            f"Section {name} has {len(rows)} rows with a nucleus and a count, too few for {blocks} "
            f"blocks of {LEAST_ROWS} rows or more; take fewer blocks, or prepare a second section."
        )
    row_um = np.asarray(dataset.section(name).row_um[:])[rows]
    block = strips(row_um, blocks)
    train = [beyond(row_um, block == k, buffer_um) for k in range(blocks)]
    for k, chosen in enumerate(train):
        trained, held = np.count_nonzero(chosen), np.count_nonzero(block == k)
        # Of two blocks without a buffer one may have a row more.
        if trained < len(rows) // blocks:
            raise BadDataset(
                f"A buffer of {buffer_um:g} µm around block {k + 1} of section {name} leaves "
                f"{trained} rows to train on for {held} that are held out; take a narrower buffer "
                f"or narrower blocks (more of them), or prepare a second section."
            )
    for k, chosen in enumerate(train):
        yield Fold(
            dataset.with_rows({name: _mask(dataset, rows[chosen])}),
            dataset.with_rows({name: _mask(dataset, rows[block == k])}),
            f"block {k + 1} of {name}",
        )


def _mask(dataset: PairedDataset, rows: IntArray) -> npt.NDArray[np.bool_]:
    mask = np.zeros(dataset.sections[0].rows, bool)
    mask[rows] = True
    return mask

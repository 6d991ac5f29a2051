"""Who sees which patch when: nothing lost, nothing twice, whatever the numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from past_training.dataset.order import EpochOrder

FILLED = ((8, 8, 3), (5,), (8, 0, 8, 8, 1))
TOTAL = 49


def order(**changes: object) -> EpochOrder:
    base = EpochOrder(FILLED, 0, 0, 0, 1, 4, 2, True, False)
    return replace(base, **changes)  # type: ignore[arg-type]


def sequence(one: EpochOrder) -> list[tuple[int, int, int]]:
    """(section, shard, place among its filled patches) in the order in which a rank sees them."""
    seen = []
    for pool in one.pools():
        assert pool.first == len(seen)
        places = [(p.section, p.shard, i) for p in pool.pieces for i in range(p.first, p.stop)]
        seen += [places[i] for i in one.shuffled(pool)]
    return seen


EVERY = {
    (s, k, i) for s, shards in enumerate(FILLED) for k, n in enumerate(shards) for i in range(n)
}


@pytest.mark.parametrize(
    ("world", "pool_shards", "shuffle"), [*product([1, 2, 3, 8, 49], [1, 3, 99], [True, False])]
)
def test_ranks_are_disjoint_and_complete(world, pool_shards, shuffle):
    ranks = [
        sequence(order(rank=r, world=world, pool_shards=pool_shards, shuffle=shuffle))
        for r in range(world)
    ]
    seen = [patch for rank in ranks for patch in rank]
    assert len(seen) == TOTAL
    assert set(seen) == EVERY
    assert max(map(len, ranks)) - min(map(len, ranks)) <= 1


@pytest.mark.parametrize(("world", "size"), [*product([1, 2, 3, 5, 7], [2, 3, 4, 10, 100])])
@pytest.mark.parametrize("drop_last", [True, False])
def test_every_rank_has_as_many_batches(world, size, drop_last):
    bounds = [
        order(rank=r, world=world, batch_patches=size, drop_last=drop_last).bounds
        for r in range(world)
    ]
    assert len({len(b) for b in bounds}) == 1
    sizes = np.concatenate([np.diff(b) for b in bounds])
    assert all(b[0] == 0 for b in bounds)
    if drop_last:
        assert (sizes == size).all()
        assert len(sizes) == world * (TOTAL // world // size)
    else:
        assert (sizes >= 1).all()
        assert (sizes <= size).all()
        assert sizes.sum() == TOTAL


def test_unshuffled_is_the_order_on_disk():
    assert sequence(order(shuffle=False)) == sorted(EVERY)


def test_epochs_and_seeds_differ_and_repeat():
    first = sequence(order())
    assert sequence(order()) == first
    assert sequence(order(epoch=1)) != first
    assert sequence(order(seed=1)) != first
    assert sequence(order(seed=1)) != sequence(order(epoch=1))
    # Every stream of its own: no pool has the permutation of another.
    pools = list(order(pool_shards=1).pools())
    eights = [tuple(order().shuffled(pool)) for pool in pools if len(pool) == 8]
    assert len(set(eights)) == len(eights) == 5


def test_a_pool_mixes_its_shards():
    one = order(pool_shards=4)
    pool = next(one.pools())
    shard = np.repeat(np.arange(4), [len(piece) for piece in pool.pieces])[one.shuffled(pool)]
    assert (np.diff(shard) != 0).sum() > 4

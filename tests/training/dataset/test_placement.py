"""Where patches lie, and which rows they own."""

from __future__ import annotations

import numpy as np
import pytest

from past_training.dataset.placement import blocks, placed
from past_training.dataset.schema import PrepareConfig


def test_a_crop_is_central_to_half_a_pixel():
    config = PrepareConfig(mpp=0.5, patch_px=24)
    # 30.2 µm is px 60.4 from the edge: a patch of 24 px from 48 to 72 has its middle at 60.
    placement = placed(np.array([[30.2, 10.0], [0.1, 10.3]]), config)
    assert placement.corner_px.tolist() == [[48, 8], [-12, 9]]
    assert placement.row_order.tolist() == [0, 1]  # both in one tile: from top to bottom
    assert placement.row_start.tolist() == [0, 1, 2]


def test_crops_follow_the_tissue():
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1000, (500, 2))
    placement = placed(places, PrepareConfig(mpp=0.5, patch_px=24))
    assert sorted(placement.row_order) == list(range(500))
    tiles = np.floor(places[placement.row_order] / 256).astype(int)  # 512 px
    rank = tiles[:, 1] * 10 + tiles[:, 0]
    assert (np.diff(rank) >= 0).all()


def test_a_row_belongs_to_the_region_in_whose_core_it_lies():
    config = PrepareConfig(mpp=1.0, patch_px=30, mode="regions", halo_px=5)  # cores of 20 px
    places = np.array([[45.0, 5.0], [20.0, 5.0], [19.9, 5.0], [-0.1, 5.0], [39.9, 19.9], [5, 20]])
    placement = placed(places, config)
    owned = {
        tuple(corner): placement.row_order[a:b].tolist()
        for corner, a, b in zip(
            placement.corner_px.tolist(),
            placement.row_start[:-1],
            placement.row_start[1:],
            strict=True,
        )
    }
    assert owned == {(-25, -5): [3], (-5, -5): [2], (15, -5): [1, 4], (35, -5): [0], (-5, 15): [5]}


def test_blocks_join_what_is_near():
    low = np.array([[0, 0], [5, 0], [100, 0], [102, 2], [0, 0]])
    # Two boxes of 10 x 10 lie in 15 x 10 = 150, the next two in 12 x 12 = 144 px².
    assert list(blocks(low, low + 10, 1e6, 1.0)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(blocks(low, low + 10, 1e6, 0.74)) == [
        slice(0, 1),
        slice(1, 2),
        slice(2, 4),
        slice(4, 5),
    ]


def test_blocks_are_bounded():
    low = np.stack([np.arange(100), np.zeros(100)], axis=1)
    runs = list(blocks(low, low + 10, 300, 2.0))
    assert [i for run in runs for i in range(run.start, run.stop)] == list(range(100))
    assert max(run.stop - run.start for run in runs) == 21  # 10 x 30 px² at most
    assert list(blocks(low[:2], low[:2] + 10, 50, 2.0)) == [slice(0, 1), slice(1, 2)]
    assert list(blocks(low[:0], low[:0], 50, 2.0)) == []


@pytest.mark.parametrize("mode", ["crops", "regions"])
def test_the_same_input_gives_the_same_order(mode):
    config = PrepareConfig(patch_px=64, mode=mode)
    places = np.random.default_rng(1).integers(0, 4, (50, 2)).astype(float)  # many ties
    first, second = placed(places, config), placed(places.copy(), config)
    assert (first.row_order == second.row_order).all()
    assert (first.corner_px == second.corner_px).all()

"""Blocks of one section: apart by the buffer, complete, and told from whole sections."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from past_training.dataset.blocks import leave_block_out, strips
from past_training.dataset.schema import BadDataset
from past_training.dataset.splits import Fold, leave_out

MOST_UM = 120.0


@pytest.fixture(scope="module")
def dataset(write_to, cells, tmp_path_factory):
    """100 cells on 120 x 90 µm, three of which have no count."""
    counts = np.random.default_rng(5).poisson(0.7, (100, 4)) + [1, 0, 0, 0]
    counts[[7, 50, 93]] = 0
    section = cells("A", 100, counts=csr_array(counts.astype(np.float32)))
    return write_to(tmp_path_factory.mktemp("one") / "one.past", section)


def sides(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    train, held = fold.train.rows_kept("A"), fold.held.rows_kept("A")
    assert train is not None
    assert held is not None
    return train, held


@pytest.mark.parametrize(("buffer_um", "blocks"), [(0.0, 2), (9.5, 4), (20.0, 5)])
def test_blocks_cover_the_section_and_stay_apart(dataset, buffer_um, blocks):
    """Distances by brute force: each row is held once, trained on where it is far enough."""
    arrays = dataset.section("A")
    usable = arrays.counts_total[:] > 0
    assert usable.sum() == 97
    row_um = arrays.row_um[:]
    away_um = np.linalg.norm(row_um[:, None] - row_um, axis=2)
    folds = list(leave_block_out(dataset, buffer_um, blocks))
    assert [fold.name for fold in folds] == [f"block {k + 1} of A" for k in range(blocks)]
    times_held = np.zeros(100, int)
    for fold in folds:
        train, held = sides(fold)
        near = away_um[:, held].min(axis=1) < buffer_um
        np.testing.assert_array_equal(train, usable & ~held & ~near)
        times_held += held
        assert held.sum() in (97 // blocks, 97 // blocks + 1)
        assert fold.by == "block"
        assert fold.shared == ("A",)
        assert fold.gap_um() == pytest.approx(away_um[np.ix_(train, held)].min())
        assert fold.gap_um() >= buffer_um
    np.testing.assert_array_equal(times_held, usable)


def test_a_row_at_the_very_distance_is_trained_on(write, cells):
    """40 cells in a line at 3 µm: block 1 ends at 27 µm, so 36 µm is 9 µm away and 39 µm is 12."""
    centers_um = np.stack([3.0 * np.arange(40), np.full(40, 40.0)], axis=1)
    counts = csr_array(np.ones((40, 4), np.float32))
    dataset = write(cells("A", 40, centers_um=centers_um, counts=counts))
    x_um = dataset.section("A").row_um[:, 0]
    for buffer_um, first_um in ((9.0, 36.0), (9.01, 39.0)):
        train, held = sides(next(leave_block_out(dataset, buffer_um)))
        assert sorted(x_um[held]) == pytest.approx([3.0 * k for k in range(10)])
        assert x_um[train].min() == pytest.approx(first_um)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_strips_lie_across_the_longer_axis(degrees):
    """A line of ten groups of points, turned: every strip holds neighbours on the line."""
    rng = np.random.default_rng(0)
    along, across = np.repeat(np.arange(10) * 100.0, 4), rng.uniform(-30, 30, 40)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    row_um = np.stack([along * c - across * s, along * s + across * c], axis=1) + [5000, 200]
    block = strips(row_um, 5)
    expected = np.repeat(np.arange(5), 8)
    # Numbered from the left, whichever way the line was laid; upright ones from either end.
    assert block.tolist() in (expected.tolist(), expected[::-1].tolist())
    if degrees != 90:
        assert row_um[block == 0, 0].mean() < row_um[block == 4, 0].mean()


def test_what_was_hidden_before_stays_hidden(dataset):
    seen = np.arange(100) % 3 > 0
    for fold in leave_block_out(dataset.with_rows({"A": seen}), 5.0):
        for side in sides(fold):
            assert not side[~seen].any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"buffer_um": 5.0, "blocks": 13}, "97 rows .* too few for 13 blocks of 8 .* fewer blocks"),
        ({"buffer_um": 45.0}, "A buffer of 45 µm around block 2 .* narrower buffer"),
        ({"buffer_um": MOST_UM}, "leaves 0 rows to train on"),
        ({"buffer_um": -1.0}, "0 µm or wider, but got -1"),
        ({"buffer_um": float("nan")}, "but got nan"),
        ({"buffer_um": 5.0, "blocks": 1}, "At least 2 blocks"),
    ],
)
def test_what_cannot_be_held_out(dataset, settings, message):
    with pytest.raises(BadDataset, match=message) as told:
        next(leave_block_out(dataset, **settings))
    assert "\n" not in str(told.value)


def test_several_sections_are_held_out_whole(write, cells):
    dataset = write(cells("A", 40), cells("B", 40, 1))
    with pytest.raises(BadDataset, match=r"made has 2 \(A, B\); hold out whole sections"):
        next(leave_block_out(dataset, 5.0))
    assert next(leave_block_out(dataset.select(sections=["B"]), 5.0)).name == "block 1 of B"
    for fold in leave_out(dataset):
        assert (fold.by, fold.shared, fold.gap_um()) == ("section", (), None)


def test_a_row_on_both_sides_is_refused(dataset):
    first = np.arange(100) < 50
    fold = Fold(dataset, dataset.with_rows({"A": first}), "odd")
    with pytest.raises(BadDataset, match="trained on and held out at once in the fold 'odd'"):
        fold.gap_um()

"""Limits beyond which cells and slides are told to be unlike the training tissue."""

from __future__ import annotations

import numpy as np
import pytest

from past_training.release.unlike import SLIDE_MARGIN, likeness, parts_left_out, slide_limit


def cells(seed: int, n: int, centre: float = 0.0) -> np.ndarray:
    """Independent numbers, 8 for each cell; the first lies around `centre`."""
    drawn = np.random.default_rng(seed).standard_normal((n, 8)).astype(np.float32)
    drawn[:, 0] += centre
    return drawn


def test_distances_are_those_of_the_covariance() -> None:
    known = cells(0, 4000) @ np.diag([1, 2, 3, 4, 5, 6, 7, 8]).astype(np.float32)
    probe = cells(1, 50, centre=9.0)
    apart = probe - known.mean(0)
    wanted = np.einsum("nd,de,ne->n", apart, np.linalg.inv(np.cov(known.T, bias=True)), apart)
    np.testing.assert_allclose(likeness(known).of_cells(probe), wanted, rtol=1e-3)


def test_directions_without_spread_do_not_count() -> None:
    flat = cells(0, 1000)
    flat[:, 7] = 3.0
    like = likeness(flat)
    assert like.whitening.shape == (8, 7)
    assert np.isfinite(like.of_cells(cells(1, 10))).all()


def test_the_part_that_lies_farthest_sets_the_limit() -> None:
    odd = np.concatenate([cells(3, 400), cells(4, 400, centre=3.0)])
    limit = slide_limit([cells(1, 1000), cells(2, 1000), odd])
    assert limit is not None
    # Three deviations away, so nine squared; the odd part is in the statistics of none.
    assert limit == pytest.approx(SLIDE_MARGIN * 9, rel=0.15)


def test_sampling_does_not_count() -> None:
    """Without its own share a group of 300 would lie 8 / 300 away on average."""
    distances = [parts_left_out(cells(seed, 300), [cells(99, 50_000)])[0] for seed in range(40)]
    assert np.mean(distances) < 0.6 * 8 / 300


def test_a_section_alone_is_cut_into_four() -> None:
    alone = np.concatenate([cells(1, 900), cells(2, 300, centre=2.0)])
    limit = slide_limit([alone])
    assert limit is not None
    assert limit == pytest.approx(SLIDE_MARGIN * 4, rel=0.25)


def test_too_few_cells_give_no_limit() -> None:
    assert slide_limit([cells(1, 200), cells(2, 299)]) is None

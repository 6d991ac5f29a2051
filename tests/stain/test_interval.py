"""Intervals: their blocks follow the tissue, and they hold what they promise."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from napari_past.stain import score_table
from napari_past.stain.correlation import FARTHEST_UM, correlogram
from napari_past.stain.interval import LEAST_BLOCK_UM, block_side_um, sampling_intervals
from napari_past.types import Cutoffs

CUTOFFS = Cutoffs(*(float(ndtri(q)) for q in (0.5, 0.75, 0.95)), "quantiles")
TRUE_H = 80.0
"""Of a standard normal value at these cut-offs."""


def alike(rng, side_um, length_um, cells, noise=0.5):
    """Cells whose values, standard normal, are alike over `length_um` (Gaussian covariance)."""
    step, n = 20.0, int(2 * side_um / 20)
    away = np.minimum(np.arange(n), n - np.arange(n)) * step
    covariance = np.exp(-((away[:, None] ** 2 + away**2) / length_um**2))
    power = np.sqrt(np.maximum(np.fft.fft2(covariance).real, 0))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, n))) * power).real
    centers = rng.uniform(0, side_um, (cells, 2))
    column, row = (centers / step).astype(int).T
    own = rng.normal(size=cells)
    return centers, math.sqrt(1 - noise) * field[row, column] + math.sqrt(noise) * own


def coverage(length_um, side_um, block, fields=60):
    """How often the interval holds the true score, over fields of autocorrelated tissue."""
    rng = np.random.default_rng(11)
    held = []
    for _ in range(fields):
        centers, values = alike(rng, side_um, length_um, int(side_um**2 / 1500))
        points = np.digitize(values, CUTOFFS.values)
        block_um = block_side_um(points, centers) if block is None else block
        ((low, high),) = sampling_intervals([points], centers, block_um)
        held.append(low <= TRUE_H <= high)
        assert not math.isnan(low)
    return np.mean(held)


def test_a_fixed_small_block_is_too_narrow_and_ours_near_nominal():
    small, ours = (coverage(150.0, 3000.0, block) for block in (100.0, None))
    assert small < 0.8
    assert 0.88 <= ours <= 1.0


def test_ours_is_near_nominal_where_cells_are_alike_over_a_short_way():
    assert 0.88 <= coverage(40.0, 2000.0, None) <= 1.0


@pytest.mark.parametrize("length_um", [50.0, 100.0, 200.0])
def test_the_range_is_that_of_the_field(length_um):
    # exp(−(d / L)²) falls to a tenth at 1.52 L.
    ranges = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        centers, values = alike(rng, 5000.0, length_um, 20_000)
        ranges.append(correlogram(values, centers).range_um)
    assert np.median(ranges) == pytest.approx(1.52 * length_um, abs=30)


def test_the_correlogram_matches_counting_every_pair():
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, 600, (300, 2))
    points = rng.integers(0, 4, 300) + (centers[:, 0] > 300)
    found = correlogram(points, centers)
    square = np.floor((centers - centers.min(axis=0)) / 25)
    steps = np.rint(np.hypot(*np.moveaxis(square[:, None] - square, -1, 0))).astype(int)
    away = points - points.mean()
    together = np.outer(away, away) / away.var()
    apart = ~np.eye(300, dtype=bool)
    for k in range(len(found.pairs)):
        pairs = (steps == k) & apart
        assert found.pairs[k] == pairs.sum()
        if pairs.any():
            assert found.correlation[k] == pytest.approx(together[pairs].mean(), abs=1e-6)


def test_cells_that_are_not_alike_have_the_least_block():
    rng = np.random.default_rng(2)
    centers, points = rng.uniform(0, 3000, (9000, 2)), rng.integers(0, 4, 9000)
    assert correlogram(points, centers).range_um <= 25
    assert block_side_um(points, centers) == LEAST_BLOCK_UM
    assert block_side_um(np.ones(9000), centers) == LEAST_BLOCK_UM, "all of one class"
    assert block_side_um(np.ones(1), centers[:1]) == LEAST_BLOCK_UM


def test_cells_that_are_alike_everywhere_have_no_interval():
    x = np.arange(0, 20_000, 50.0)
    centers = np.column_stack([x, np.zeros_like(x)])
    (row,) = score_table(x / 5000, centers, Cutoffs(1, 2, 3, "given")).rows
    assert math.isinf(row.block_um)
    assert math.isnan(row.lo)
    assert math.isnan(row.pct_hi)
    assert f"alike over {FARTHEST_UM / 1000:g} mm and more" in row.explanation


def test_no_interval_under_ten_blocks():
    rng = np.random.default_rng(0)
    corners = np.array([[200.0 * i, 0] for i in range(9)])
    centers = (corners[:, None] + rng.uniform(0, 200, (40, 2))).reshape(-1, 2)
    values = rng.uniform(0, 4, 360)
    (row,) = score_table(values, centers, Cutoffs(1, 2, 3, "given")).rows
    assert math.isnan(row.lo)
    assert math.isnan(row.pct_lo)
    assert row.explanation == (
        "The cells of slide fill fewer than 10 squares of 200 µm, so no interval is given."
    )
    ten, more = np.vstack([centers, [5000, 1]]), np.append(values, 2.0)
    (row,) = score_table(more, ten, Cutoffs(1, 2, 3, "given")).rows
    assert row.lo < row.h_score < row.hi
    assert row.explanation == ""


def test_interval_matches_a_loop_over_drawn_blocks():
    rng = np.random.default_rng(3)
    centers = rng.uniform(0, 3000, (4000, 2))
    points = rng.integers(0, 4, 4000)
    block = [tuple(b) for b in np.floor(centers / 250).astype(int)]
    by_block = {b: [] for b in block}
    for b, p in zip(block, points, strict=True):
        by_block[b].append(p)
    lists = list(by_block.values())
    draws = [
        100 * np.concatenate([lists[i] for i in rng.integers(0, len(lists), len(lists))]).mean()
        for _ in range(1000)
    ]
    (interval,) = sampling_intervals([points], centers, 250.0)
    # Cells are drawn by lot, so that halves of blocks ask for hardly any widening.
    assert interval == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=1.0)


def test_several_quantities_are_drawn_alike():
    rng = np.random.default_rng(5)
    centers, found = rng.uniform(0, 3000, (3000, 2)), rng.integers(0, 4, 3000)
    both = sampling_intervals([found, found > 0], centers, 250.0)
    assert both[0] == sampling_intervals([found], centers, 250.0)[0]
    assert both[1] == sampling_intervals([found > 0], centers, 250.0)[0]
    assert sampling_intervals([np.ones(3000)], centers, 250.0) == [(100.0, 100.0)]


def test_the_same_cells_give_the_same_interval_in_any_order():
    rng = np.random.default_rng(1)
    centers, values = rng.uniform(0, 2000, (500, 2)), rng.uniform(0, 4, 500)
    order = rng.permutation(500)
    cutoffs = Cutoffs(1, 2, 3, "given")
    a = score_table(values, centers, cutoffs).rows[0]
    b = score_table(values[order], centers[order], cutoffs).rows[0]
    assert (a.lo, a.hi, a.pct_lo) == pytest.approx((b.lo, b.hi, b.pct_lo), abs=1e-9)
    assert a.block_um == b.block_um

"""Intervals from blocks against drawing the rows themselves, and how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import pearsonr

from napari_past.validation.block_interval import block_intervals
from napari_past.validation.compared_rows import ComparedRows
from napari_past.validation.intervals import bootstrap_mean, bootstrap_means


def rows_at(at, *places):
    tissues = tuple(at(p, np.ones((len(p), 1)), ["A"], name=f"S{i}") for i, p in enumerate(places))
    return ComparedRows(tissues, tuple(np.arange(len(p)) for p in places))


def anywhere(n, seed=0, side_um=4000.0):
    return np.random.default_rng(seed).uniform(0, side_um, (n, 2))


def test_sums_of_blocks_are_the_rows_drawn(at):
    """Two sections; each draw is put together row by row and given to scipy."""
    rng = np.random.default_rng(1)
    rows = rows_at(at, anywhere(150), anywhere(90, 1, 3000.0))
    measured = [rng.normal(3, 1, (len(k), 1)).astype(np.float32) for k in rows.kept]
    predicted = [(v + rng.normal(0, 2, v.shape)).astype(np.float32) for v in measured]
    blocks = block_intervals(rows, 155.0)

    def r_of(draw):
        r = []
        for s in range(2):
            parts = np.split(blocks.inside[s], blocks.starts[s][1:])
            times = blocks.times[s][draw].astype(int)
            drawn = np.concatenate([p for p, n in zip(parts, times, strict=True) for _ in range(n)])
            r.append(pearsonr(predicted[s][drawn, 0], measured[s][drawn, 0]).statistic)
        return np.mean(r)  # sections are of one patient

    whole = np.mean([pearsonr(predicted[s][:, 0], measured[s][:, 0]).statistic for s in (0, 1)])
    draws = blocks.mean(predicted, measured)
    for k in range(0, 60, 7):
        assert draws[k] == pytest.approx(r_of(1 + k) - r_of(0) + whole, abs=1e-6)
    low, high = blocks.genes(predicted, measured)
    assert low[0] < whole < high[0]
    # As many blocks are drawn as there are.
    for times, starts in zip(blocks.times, blocks.starts, strict=True):
        np.testing.assert_array_equal(times.sum(axis=1), len(starts))


def test_no_two_blocks_share_pixels(at):
    places = anywhere(300)
    blocks = block_intervals(rows_at(at, places), 200.0)
    parts = np.split(blocks.inside[0], blocks.starts[0][1:])
    assert len(parts) == blocks.blocks > 6
    of = np.concatenate([np.full(len(p), i) for i, p in enumerate(parts)])
    inside = places[np.concatenate(parts)]
    apart = np.abs(inside[:, None] - inside).max(axis=2)
    assert apart[of[:, None] != of].min() >= 200.0
    assert blocks.share == pytest.approx(len(inside) / 300)
    assert 0.4 < blocks.share < 0.9


@pytest.mark.parametrize(("rows", "reach_um"), [(300, 155.0), (180, 388.0)])
def test_the_interval_holds_the_truth(at, rows, reach_um):
    """Smooth fields of a known correlation under noise: 95 of 100 intervals hold it, or more."""
    rng = np.random.default_rng(2)
    places = anywhere(rows)
    blocks = block_intervals(rows_at(at, places), reach_um)
    y, x = (places / 4000 * 128).astype(int).T

    def field():
        values = gaussian_filter(rng.normal(size=(128, 128)), 3, mode="wrap")
        return values[x, y] / values.std()

    predicted, measured = [], []
    for _ in range(150):
        a, b = field(), field()
        predicted.append(a + 0.5 * rng.normal(size=rows))
        measured.append(0.5 * a + np.sqrt(0.75) * b + 0.5 * rng.normal(size=rows))
    low, high = blocks.genes(
        [np.transpose(predicted).astype(np.float32)], [np.transpose(measured).astype(np.float32)]
    )
    truth = 0.5 / 1.25
    assert np.mean((low <= truth) & (truth <= high)) >= 0.94
    assert np.mean(high - low) < 0.6


def test_too_few_blocks_are_told(at):
    assert not block_intervals(rows_at(at, anywhere(100, side_um=500.0)), 155.0).enough
    # Cores that are one block each: drawn from itself, a block does not vary.
    cores = [anywhere(40, i, 300.0) for i in range(8)]
    blocks = block_intervals(rows_at(at, *cores), 155.0)
    assert blocks.blocks == 8
    assert not blocks.enough
    assert block_intervals(rows_at(at, anywhere(200), anywhere(200, 1)), 155.0).enough


def test_what_does_not_vary_has_no_interval(at):
    rows = rows_at(at, anywhere(150))
    rng = np.random.default_rng(3)
    measured = rng.normal(size=(150, 3)).astype(np.float32)
    predicted = measured + rng.normal(size=(150, 3)).astype(np.float32)
    predicted[:, 1] = 2
    measured[1:, 2] = 0  # seen in one row only: most draws lack it
    low, high = block_intervals(rows, 155.0).genes([predicted], [measured])
    assert np.isfinite([low[0], high[0]]).all()
    assert np.isnan([low[1:], high[1:]]).all()


def test_many_means_at_once_are_each_by_itself():
    values = np.random.default_rng(0).normal(size=(7, 4))
    values[2, 1] = np.nan
    values[:3, 2] = np.nan
    low, high = bootstrap_means(values)
    for g in (0, 1, 3):
        alone = bootstrap_mean({str(i): [v] for i, v in enumerate(values[:, g])})
        assert alone is not None
        assert (low[g], high[g]) == pytest.approx((alone.low, alone.high), abs=1e-12)
    assert np.isnan([low[2], high[2]]).all()  # four patients

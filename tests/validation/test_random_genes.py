"""Genes as abundant, against a loop over genes."""

from __future__ import annotations

import numpy as np
from scipy.stats import pearsonr

from napari_past.validation.compared_rows import ComparedRows
from napari_past.validation.metrics import cross_pearson
from napari_past.validation.random_genes import random_genes


def test_random_genes_are_the_nearest_fifty_one_by_one(at):
    rng = np.random.default_rng(0)
    n, g = 60, 90
    tissues = tuple(at(rng.uniform(0, 900, (n, 2)), np.ones((n, 1)), ["A"], name=s) for s in "AB")
    rows = ComparedRows(tissues, (np.arange(n), np.arange(n)))
    level = np.sort(rng.lognormal(0, 1, g))
    measured = [rng.normal(size=(n, g)).astype(np.float32) for _ in tissues]
    predicted = [(0.2 * m + rng.normal(size=(n, g))).astype(np.float32) for m in measured]
    chosen = slice(30, 50)
    mean, percentile = random_genes(
        rows, predicted, [m[:, chosen] for m in measured], level, chosen.start
    )
    for c, gene in enumerate(range(30, 50)):
        away = np.abs(level - level[gene])
        away[gene] = np.inf
        r = [
            np.mean([pearsonr(predicted[s][:, i], measured[s][:, gene]).statistic for s in (0, 1)])
            for i in [*np.argsort(away)[:50], gene]
        ]
        np.testing.assert_allclose(mean[c], np.mean(r[:50]), atol=1e-6)
        np.testing.assert_allclose(percentile[c], 100 * np.mean(np.array(r[:50]) < r[50]))


def test_few_others_and_constants_have_no_percentile(at):
    rng = np.random.default_rng(1)
    rows = ComparedRows(
        (at(rng.uniform(0, 900, (30, 2)), np.ones((30, 1)), ["A"]),), (np.arange(30),)
    )
    values = rng.normal(size=(30, 10)).astype(np.float32)
    nothing = random_genes(rows, [values], [values], np.arange(10.0), 0)
    assert np.isnan(nothing).all()  # nine others
    more = rng.normal(size=(30, 20)).astype(np.float32)
    measured = more.copy()
    measured[:, 3] = 1
    mean, percentile = random_genes(rows, [more], [measured], np.arange(20.0), 0)
    assert np.isnan([mean[3], percentile[3]]).all()
    assert percentile[[0, 1, 2]].tolist() == [100, 100, 100]
    flat = np.ones_like(more)  # the same for every gene: no better than another
    assert set(random_genes(rows, [flat], [more], np.arange(20.0), 0)[1]) == {50.0}


def test_cross_pearson_is_each_pair():
    rng = np.random.default_rng(2)
    p, m = (rng.normal(size=(25, k)).astype(np.float32) for k in (4, 3))
    r = cross_pearson(p, m)
    for i in range(3):
        for j in range(4):
            np.testing.assert_allclose(r[i, j], pearsonr(p[:, j], m[:, i]).statistic, atol=1e-6)
    p[:, 0], p[2, 1], m[:, 2] = 7, np.nan, 5
    r = cross_pearson(p, m)
    assert r[:2, 0].tolist() == [0, 0]
    assert np.isnan(r[:, 1]).all()
    assert np.isnan(r[2]).all()
    assert np.isfinite(r[:2, 2:]).all()

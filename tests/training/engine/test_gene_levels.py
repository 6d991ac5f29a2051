"""Levels of genes by hand: of the rows that are seen, in the sections that measured them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from past_training.dataset.read import open_dataset
from past_training.engine import gene_levels as gene_levels_module
from past_training.engine.gene_levels import gene_levels

GENES = ("VIM", "EPCAM")


def per_10k(data, name, rows=slice(None)):
    """Counts per 10k (rows, G) of all genes of the dataset."""
    arrays = data.section(name)
    return 1e4 * (arrays.counts().toarray() / arrays.counts_total[:][:, None])[rows]


def check(found, values):
    torch.testing.assert_close(
        found.mean_rate_G, torch.from_numpy(values.mean(0)).float(), rtol=1e-5, atol=1e-3
    )
    torch.testing.assert_close(
        found.deviation_G, torch.from_numpy(np.log1p(values).std(0)).float(), rtol=1e-4, atol=1e-4
    )


def test_by_hand(dataset):
    data = open_dataset(dataset).select(sections=["S0", "S2"])
    columns = [data.genes.index(gene) for gene in GENES]
    values = np.concatenate([per_10k(data, name) for name in ("S0", "S2")])
    check(gene_levels(data, GENES), values[:, columns])


@pytest.mark.parametrize("most", [None, 7])
def test_of_the_rows_that_are_seen(dataset, monkeypatch, most):
    """All of every third row; or the first seven of them, looked for in seven rows at a time."""
    if most:
        monkeypatch.setattr(gene_levels_module, "_MOST_ROWS", most)
    data = open_dataset(dataset).select(sections=["S0", "S2"])
    columns = [data.genes.index(gene) for gene in GENES]
    mask = np.arange(50) % 3 == 2
    parts = [per_10k(data, "S0", np.flatnonzero(mask)[:most]), per_10k(data, "S2")[:most]]
    found = gene_levels(data.with_rows({"S0": mask}), GENES)
    check(found, np.concatenate(parts)[:, columns])
    assert not torch.allclose(found.mean_rate_G, gene_levels(data, GENES).mean_rate_G, rtol=1e-3)


def test_a_section_without_the_gene_has_no_say(panels):
    data = open_dataset(panels)
    lacking = next(gene for gene in data.genes if gene not in data.section("B").genes)
    column = data.genes.index(lacking)
    values = np.concatenate([per_10k(data, name) for name in ("A", "C")])
    check(gene_levels(data, [lacking]), values[:, [column]])

"""How much of each gene there is in training rows, and how much it varies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from past_training.dataset.read import PairedDataset
from past_training.objectives.expression import PER

_MOST_ROWS = 20_000


class GeneLevels(NamedTuple):
    """Of G genes, over training rows."""

    mean_rate_G: Tensor
    """Mean rate in counts per 10k."""
    deviation_G: Tensor
    """Standard deviation of log1p(counts per 10k)."""


def gene_levels(dataset: PairedDataset, genes: Sequence[str]) -> GeneLevels:
    """Levels of genes over the rows that a dataset shows, the first 20,000 of each section.

    A section that did not measure a gene has no say in it.
    """
    place = {gene: k for k, gene in enumerate(dataset.genes)}
    columns = [place[gene] for gene in genes]
    rows, rates, logs, squares = (np.zeros(len(genes)) for _ in range(4))
    for record in dataset.sections:
        measured = set(dataset.section(record.name).genes)
        counted = np.array([gene in measured for gene in genes])
        for per_10k in _shown(dataset, record.name, columns):
            rates += per_10k.sum(axis=0)
            per_10k.data = np.log1p(per_10k.data)
            logs += per_10k.sum(axis=0)
            per_10k.data **= 2
            squares += per_10k.sum(axis=0)
            rows += per_10k.shape[0] * counted
    rows = np.clip(rows, 1, None)
    variance = np.clip(squares / rows - (logs / rows) ** 2, 0, None)
    mean, deviation = (
        torch.from_numpy(v.astype(np.float32)) for v in (rates / rows, variance**0.5)
    )
    return GeneLevels(mean, deviation)


def _shown(dataset: PairedDataset, name: str, columns: Sequence[int]) -> Iterator[csr_array]:
    """Counts per 10k of the first rows that a section shows, block by block."""
    arrays, kept = dataset.section(name), dataset.rows_kept(name)
    left = _MOST_ROWS
    for first in range(0, arrays.record.rows, _MOST_ROWS):
        stop = min(first + _MOST_ROWS, arrays.record.rows)
        shown = np.arange(stop - first) if kept is None else np.flatnonzero(kept[first:stop])
        shown = shown[:left]
        total = np.clip(np.asarray(arrays.counts_total[first:stop], np.float64)[shown], 1, None)
        counts = arrays.counts(first, stop)[shown][:, columns].astype(np.float64)
        yield csr_array(counts.multiply(PER / total[:, None]))
        left -= len(shown)
        if not left:
            return

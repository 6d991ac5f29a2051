"""Which genes are looked at, from tables of counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from past_training.spatial_transcriptomics import log1p_cp10k


def best_expressed(counts: Sequence[pd.DataFrame], n: int) -> list[str]:
    """The n genes of the highest mean log1p(counts per 10k) over all spots, best first.

    Genes that one section lacks count as zero there.
    """
    genes = sorted(set().union(*(c.columns for c in counts)))
    mean = np.concatenate([log1p_cp10k(c, genes) for c in counts]).mean(0)
    return [genes[i] for i in np.argsort(-mean, kind="stable")[:n]]


def most_variable(counts: Sequence[pd.DataFrame], genes: list[str], n: int) -> list[str]:
    """The n genes among `genes` whose log1p(counts per 10k) varies most over the spots."""
    std = np.concatenate([log1p_cp10k(c, genes) for c in counts]).std(0)
    return [genes[i] for i in np.argsort(-std, kind="stable")[:n]]

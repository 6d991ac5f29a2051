"""What a run of the benchmark found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_past.validation.metrics import Scores
from past_training.benchmark.patches import About

FITTED, OWN = "PCA + ridge", "its own read-out, nothing fitted"


@dataclass(frozen=True, eq=False)
class TaskScores:
    """One way to predict a task's genes, on all of its folds."""

    genes: tuple[str, ...]
    r: Scores
    """(folds, G); NaN where a gene's measurement is constant in a fold."""
    components: int = 0
    """Fewest of the PCA over the folds; 0 where nothing was fitted."""
    training_r: float = math.nan
    """Mean over the folds on the patches that were fitted; NaN where nothing was."""

    @property
    def fold_means(self) -> Scores:
        """Mean over the genes that have an r, of each fold; NaN where none has one."""
        return means_of(self.r)

    @property
    def mean(self) -> float:
        """Of the folds' means."""
        return float(np.mean(self.fold_means))

    @property
    def deviation(self) -> float:
        """Standard deviation of the folds' means (divided by their number)."""
        return float(np.std(self.fold_means))

    @property
    def without_r(self) -> int:
        """Genes and folds in which there is no r."""
        return int(np.isnan(self.r).sum())

    def among(self, genes: tuple[str, ...]) -> TaskScores:
        """Of these genes alone."""
        columns = [self.genes.index(gene) for gene in genes]
        return TaskScores(genes, self.r[:, columns], self.components)


@dataclass(frozen=True, eq=False)
class Row:
    """A line of the table: a tower, and how genes are predicted from it."""

    tower: str
    how: str
    """`FITTED` or `OWN`."""
    scores: Mapping[str, TaskScores]
    """By the name of the task; a task is missing where the read-out has none of its genes."""


@dataclass(frozen=True)
class TaskFacts:
    """What a task was, for the report."""

    name: str
    samples: tuple[str, ...]
    patches: int
    genes: int
    seen: float
    """Share of the patches in which a gene was seen, its median over the genes."""
    folds: tuple[tuple[int, int, tuple[str, ...]], ...]
    """Training patches, held-out patches, held-out samples."""
    sha256: str


@dataclass(frozen=True)
class HestRun:
    """A run of the benchmark."""

    rows: tuple[Row, ...]
    tasks: tuple[TaskFacts, ...]
    about: Mapping[str, About]
    seen: Mapping[tuple[str, str], tuple[str, ...]]
    """(tower, task) → samples of the task that the tower is known to have been trained on."""
    unavailable: tuple[tuple[str, str], ...]
    """Towers that could not be had or could not go on, and why."""
    versions: Mapping[str, str]
    device: str
    threads: int


def means_of(r: Scores) -> Scores:
    """Mean of each line of (n, G) over what is no NaN, (n,); NaN where all are."""
    known = np.isfinite(r)
    count = known.sum(1)
    sums = np.where(known, r, 0.0).sum(1)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan)

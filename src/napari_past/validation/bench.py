"""Predictors on their bench: the rows that all of them predict, and their figures, some genes after
the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_past.errors import Cancelled, PastError
from napari_past.validation.compared_rows import LEAST_ROWS, Array, ComparedRows, Values
from napari_past.validation.figures import (
    Intervals,
    MeasuredGenes,
    figures_of_all,
    gene_figures,
    known_r,
    known_rho,
)
from napari_past.validation.folds import HoldOut
from napari_past.validation.genes import MATCHED_POOL
from napari_past.validation.prediction_table import PATCHY
from napari_past.validation.predictor import BoolArray, Predictor, Watch
from napari_past.validation.random_genes import random_genes
from napari_past.validation.result import GeneFigures, RowMaps
from napari_past.validation.tissue import IntArray, Tissue, in_measured_unit
from napari_past.validation.training_mean import fold_means
from napari_past.validation.within import RowGroup, group_figure

_VALUES_AT_ONCE = 2**23
_FEWEST_GENES, _MOST_GENES = 128, 2048


@dataclass(frozen=True, eq=False)
class Found:
    """Figures of all genes, in their own order."""

    figures: tuple[GeneFigures, ...]
    """Of each predictor."""
    random_r: Array
    percentile: Array
    """(G,) each, of the first predictor."""
    group_r: tuple[Array, ...]
    group_rho: tuple[Array, ...]
    """(G,) of each group, of the first predictor."""


@dataclass(frozen=True, eq=False)
class Bench:
    """What is compared, on what, and who is told."""

    tissues: tuple[Tissue, ...]
    predictors: tuple[Predictor, ...]
    """The first is the one that it is about."""
    hold_out: HoldOut
    watch: Watch

    def rows(self, probe: Sequence[str]) -> ComparedRows:
        """Rows of which every predictor predicts all genes of `probe` that it predicts well-nigh
        everywhere.

        A gene that is missing in over 5 % of the rows that have others does not cost these rows:
        it has no figures then.

        Raises
        ------
        PastError
            They are fewer than 20 in every section.
        Cancelled
        """
        known = [np.ones(len(tissue), np.bool_) for tissue in self.tissues]
        patchy = 0
        for predictor in self.predictors:
            self.watch.on_step(f"{predictor.name} predicts")
            values = self._predicted(predictor, probe)
            there = [np.isfinite(v) for v in values]
            full = _well_nigh_full(np.concatenate(there))
            for mask, of_tissue in zip(known, there, strict=True):
                whole = of_tissue[:, full].all(axis=1) & full.any()
                patchy += int((of_tissue.any(axis=1) & ~whole).sum())
                mask &= whole
        rows = ComparedRows(self.tissues, tuple(map(np.flatnonzero, known)))
        if max(map(len, rows.kept)) < LEAST_ROWS and patchy:
            raise PastError(
                f"Only {len(rows)} of {sum(map(len, self.tissues))} measured rows have a value of "
                f"every gene, because {patchy} have some and lack others (NaN), but a section "
                f"needs at least {LEAST_ROWS}; leave the genes out that are missing, or predict "
                f"them in every row."
            )
        if max(map(len, rows.kept)) < LEAST_ROWS:
            raise PastError(
                f"Only {len(rows)} of {sum(map(len, self.tissues))} measured rows are predicted, "
                f"but a section needs at least {LEAST_ROWS}; check the placement on the H&E, or "
                f"give a section with more."
            )
        return rows

    def figures(
        self,
        rows: ComparedRows,
        genes: Sequence[str],
        level: Array,
        groups: Sequence[RowGroup],
        intervals: Intervals,
    ) -> Found:
        """Figures of all predictors.

        Parameters
        ----------
        level
            (G,) mean expression; genes of the nearest are compared with each.

        Raises
        ------
        Cancelled
        """
        self.watch.on_step(f"{len(genes)} genes compared on {len(rows)} rows")
        order = np.argsort(level, kind="stable").astype(np.int64)
        figures: list[list[GeneFigures]] = [[] for _ in self.predictors]
        chance: list[tuple[Array, Array]] = []
        within: list[tuple[Array, Array]] = []
        for start, stop in _windows(len(genes), len(rows)):
            # The first predictor's neighbours in expression, too.
            first, last = max(0, start - MATCHED_POOL), min(len(genes), stop + MATCHED_POOL)
            names = [genes[i] for i in order[first:last]]
            inner = slice(start - first, stop - first)
            truth = [tissue.measured(names) for tissue in self.tissues]
            measured = MeasuredGenes.of(_columns(rows.of(truth), inner))
            for k, predictor in enumerate(self.predictors):
                asked = names if k == 0 else names[inner]
                raw = self._predicted(predictor, asked)
                picture = self._picture(predictor, raw, truth if k == 0 else _columns(truth, inner))
                raw, picture = rows.of(raw), rows.of(picture)
                if k == 0:
                    chance.append(
                        random_genes(
                            rows, picture, measured.values, level[order[first:last]], inner.start
                        )
                    )
                    raw, picture = _columns(raw, inner), _columns(picture, inner)
                    within.append(_within(groups, rows, picture, measured.values, names[inner]))
                same_unit = in_measured_unit(predictor.unit)
                figures[k].append(gene_figures(rows, raw, picture, measured, same_unit, intervals))
            self.watch.on_share(stop / len(genes))
        back = np.argsort(order)
        mean, percentile = (np.concatenate(part)[back] for part in zip(*chance, strict=True))
        r, rho = (np.concatenate(part, axis=1)[:, back] for part in zip(*within, strict=True))
        return Found(
            tuple(figures_of_all(parts, back) for parts in figures),
            mean,
            percentile,
            tuple(r),
            tuple(rho),
        )

    def mean_draws(
        self, rows: ComparedRows, genes: Sequence[str], intervals: Intervals
    ) -> list[Array]:
        """Mean r over some genes in each draw, (D,), of each predictor; the draws are the same.

        Raises
        ------
        Cancelled
        """
        self.watch.on_step("intervals")
        truth = [tissue.measured(genes) for tissue in self.tissues]
        measured, found = rows.of(truth), []
        for predictor in self.predictors:
            picture = self._picture(predictor, self._predicted(predictor, genes), truth)
            found.append(intervals.mean(rows.of(picture), measured))
        return found

    def maps(
        self, rows: ComparedRows, genes: Sequence[str], mapped: IntArray
    ) -> tuple[RowMaps, ...]:
        """Values of some genes on all compared rows, by the first predictor.

        Parameters
        ----------
        mapped
            Ascending places of the genes.

        Raises
        ------
        Cancelled
        """
        self.watch.on_step(f"maps of {len(mapped)} genes")
        names = [genes[i] for i in mapped]
        measured = rows.measured(names)
        predicted = [np.empty_like(v) for v in measured]
        for start, stop in _windows(len(names), len(rows)):
            values = rows.of(self._predicted(self.predictors[0], names[start:stop]))
            for whole, part in zip(predicted, values, strict=True):
                whole[:, start:stop] = part
        return tuple(
            RowMaps(
                tissue.section.name,
                row_um,
                tissue.section.spot_diameter_um,
                mapped,
                of_tissue,
                by_model,
            )
            for tissue, row_um, of_tissue, by_model in zip(
                rows.tissues, rows.row_um, measured, predicted, strict=True
            )
        )

    def _picture(self, predictor: Predictor, predicted: Values, truth: Values) -> Values:
        """What the picture adds to predictions: of what is fitted here the mean of the rows it was
        fitted on is taken off. Where rows of one section are held out, that mean is low where they
        are high, which would show as a negative correlation (Parker et al. 2007, BMC
        Bioinformatics 8:326)."""
        if not predictor.fitted_here:
            return predicted
        means = fold_means(self.hold_out.folds, truth)
        return [a - b for a, b in zip(predicted, means, strict=True)]

    def _predicted(self, predictor: Predictor, genes: Sequence[str]) -> Values:
        if self.watch.cancelled():
            raise Cancelled("The validation was stopped; what was encoded is kept.")
        values = predictor.predict(self.tissues, self.hold_out.folds, genes, self.watch)
        for tissue, of_tissue in zip(self.tissues, values, strict=True):
            if of_tissue.shape != (len(tissue), len(genes)):
                raise PastError(
                    f"{predictor.name} gave values of the shape {of_tissue.shape} for "
                    f"{len(tissue)} rows and {len(genes)} genes of {tissue.section.name}; it must "
                    f"give one for each row and gene."
                )
        return values


def _well_nigh_full(there: BoolArray) -> BoolArray:
    """Genes that are predicted in nearly all rows that have any, (G,), of (n, G)."""
    predicted = there.any(axis=1).sum()
    return np.asarray(there.sum(axis=0) >= (1 - PATCHY) * max(predicted, 1), np.bool_)


def _columns(values: Values, genes: slice) -> Values:
    """Some columns of each section's values."""
    return [part[:, genes] for part in values]


def _within(
    groups: Sequence[RowGroup],
    rows: ComparedRows,
    predicted: Values,
    measured: Values,
    genes: Sequence[str],
) -> tuple[Array, Array]:
    """r and rho within each group, (n, G) each; NaN of genes that define the group."""
    r, rho = np.full((2, len(groups), len(genes)), np.nan)
    for i, group in enumerate(groups):
        open_ = np.array([gene not in group.defined_by for gene in genes])
        r[i] = np.where(open_, group_figure(group, rows, predicted, measured, known_r), np.nan)
        rho[i] = np.where(open_, group_figure(group, rows, predicted, measured, known_rho), np.nan)
    return r, rho


def _windows(genes: int, rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of genes of which arrays of all rows fit in memory."""
    at_once = int(np.clip(_VALUES_AT_ONCE // rows, _FEWEST_GENES, _MOST_GENES))
    for start in range(0, genes, at_once):
        yield start, min(start + at_once, genes)

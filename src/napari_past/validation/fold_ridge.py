"""Ridge regression on features of rows, fitted on each fold's training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from napari_past.errors import Cancelled
from napari_past.types import FloatArray
from napari_past.validation.genes import most_variable
from napari_past.validation.predictor import BoolArray, TissueFold, Watch
from napari_past.validation.ridge import LEFT_OUT, MOST_GROUPS, best_penalty, fit_ridge
from napari_past.validation.strips import strips
from napari_past.validation.tissue import Tissue

JUDGED_BY = 250
"""The penalty is chosen by so many genes, the most variable ones of the training rows."""
_LEAST_ROWS = 8
"""Of a group of rows by which the penalty is chosen."""


class FoldRidge:
    """A read-out for each fold; the penalty is chosen once, whatever genes are asked for.

    It is the one with the best mean r when parts of the training rows are left out in turn: those
    that other folds hold out (patients, slides, strips), else strips of them.

    Parameters
    ----------
    features_of
        Features (k, D) of a tissue's rows, asked for once; a row with a NaN has none, and nothing
        is fitted on it. May raise `Cancelled`.
    """

    def __init__(self, features_of: Callable[[Tissue, Watch], npt.NDArray[np.float32]]) -> None:
        self._features_of = features_of
        self._features: dict[Tissue, npt.NDArray[np.float32]] = {}
        self._penalties: dict[TissueFold, float] = {}

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Values (k, G) of each tissue's rows; NaN for rows without features.

        Raises
        ------
        Cancelled
        """
        for tissue in tissues:
            if tissue not in self._features:
                self._features[tissue] = self._features_of(tissue, watch)
        features = [self._features[tissue] for tissue in tissues]
        measured = [tissue.measured(genes) for tissue in tissues]
        result = [np.full(values.shape, np.nan, np.float32) for values in measured]
        there = [np.asarray(np.isfinite(of_tissue).all(axis=1)) for of_tissue in features]
        for fold in folds:
            if watch.cancelled():
                raise Cancelled("The validation was stopped.")
            if fold not in self._penalties:
                self._penalties[fold] = _penalty(features, there, tissues, fold, folds)
            train = _both(fold.train, there)
            readout = fit_ridge(
                _joined(features, train), _joined(measured, train), self._penalties[fold]
            )
            for values, of_tissue, held in zip(
                result, features, _both(fold.held, there), strict=True
            ):
                if held.any():
                    values[held] = readout.expression(of_tissue[held])
        return result


def _penalty(
    features: Sequence[FloatArray],
    there: Sequence[BoolArray],
    tissues: Sequence[Tissue],
    fold: TissueFold,
    folds: Sequence[TissueFold],
) -> float:
    genes = _judges(tissues, fold)
    measured = [tissue.measured(genes) for tissue in tissues]
    groups = _groups(tissues, _both(fold.train, there), [f for f in folds if f is not fold])
    return best_penalty(
        [_joined(features, group) for group in groups],
        [_joined(measured, group) for group in groups],
    )


def _judges(tissues: Sequence[Tissue], fold: TissueFold) -> list[str]:
    """Genes that hardly vary would choose the largest penalty for all."""
    common = set(tissues[0].genes).intersection(*(tissue.genes for tissue in tissues[1:]))
    genes = [gene for gene in tissues[0].genes if gene in common]
    values = []
    for tissue, train in zip(tissues, fold.train, strict=True):
        place = {gene: i for i, gene in enumerate(tissue.genes)}
        values.append(tissue.sparse[np.flatnonzero(train)][:, [place[gene] for gene in genes]])
    return most_variable(values, genes, genes, JUDGED_BY)


def _groups(
    tissues: Sequence[Tissue], trained: Sequence[BoolArray], others: Sequence[TissueFold]
) -> list[list[BoolArray]]:
    """Training rows that are left out together, as masks (k,) of each tissue."""
    found: dict[int, list[BoolArray]] = {}
    for i, other in enumerate(others):
        masks = _both(trained, other.held)
        if sum(map(np.count_nonzero, masks)) >= _LEAST_ROWS:
            known = found.setdefault(i % MOST_GROUPS, [np.zeros_like(mask) for mask in masks])
            found[i % MOST_GROUPS] = [a | b for a, b in zip(known, masks, strict=True)]
    if len(found) > 1:
        return list(found.values())
    groups = [[np.zeros_like(train) for train in trained] for _ in range(LEFT_OUT)]
    for i, (tissue, train) in enumerate(zip(tissues, trained, strict=True)):
        rows = np.flatnonzero(train)
        if len(rows):
            strip = strips(tissue.row_um[rows], LEFT_OUT)
            for k, group in enumerate(groups):
                group[i][rows[strip == k]] = True
    return groups


def _both(some: Sequence[BoolArray], others: Sequence[BoolArray]) -> list[BoolArray]:
    return [a & b for a, b in zip(some, others, strict=True)]


def _joined(parts: Sequence[FloatArray], masks: Sequence[BoolArray]) -> npt.NDArray[np.floating]:
    return np.concatenate([part[mask] for part, mask in zip(parts, masks, strict=True)])

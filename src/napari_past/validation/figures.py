"""Figures of one predictor for some genes, and how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_past.validation.compared_rows import LEAST_ROWS, Array, ComparedRows, Values
from napari_past.validation.mean_calibration import calibration_slope
from napari_past.validation.metrics import explained, pearson, ranked_auc, ranks, rmse
from napari_past.validation.result import GeneFigures

LEAST_OF_EITHER = 10
"""Rows of a section in which a gene was seen, and in which it was not, that make an AUC."""


class Intervals(Protocol):
    """How sure an r is."""

    @property
    def levels(self) -> tuple[float, float]:
        """Quantiles of the draws that bound a 95 % interval."""

    def genes(self, predicted: Values, measured: Values) -> tuple[Array, Array]:
        """Low and high of the 95 % interval of r of each gene, (G,) each; NaN where there is none.

        Parameters
        ----------
        predicted, measured
            (k, G) of each section's compared rows.
        """

    def mean(self, predicted: Values, measured: Values) -> Array:
        """Mean r over some genes in each draw, (D,); the same draws for the same rows."""


@dataclass(frozen=True, eq=False)
class MeasuredGenes:
    """Measured values of some genes, with their ranks, which every predictor needs."""

    values: Values
    """(k, G) of each section's compared rows."""
    ranks: tuple[Array, ...]

    @staticmethod
    def of(values: Values) -> MeasuredGenes:
        return MeasuredGenes(values, tuple(map(ranks, values)))


def gene_figures(
    rows: ComparedRows,
    predicted: Values,
    picture: Values,
    measured: MeasuredGenes,
    same_unit: bool,
    intervals: Intervals,
) -> GeneFigures:
    """Figures (G,) of one predictor.

    Parameters
    ----------
    predicted
        (k, G) of each section, as they are: for errors and means.
    picture
        What of them the picture says, for r, rho and AUC: the same, or, where a predictor was
        fitted here, less the mean of what it was fitted on.
    same_unit
        Whether errors may be told.
    """
    r, rho, auc = (
        np.stack(part)
        for part in zip(
            *(
                _section(*pair)
                for pair in zip(picture, measured.values, measured.ranks, strict=True)
            ),
            strict=True,
        )
    )
    low, high = intervals.genes(picture, measured.values)
    everything = np.concatenate(predicted)
    error, slope = np.full((2, everything.shape[1]), np.nan)
    if same_unit:
        truth = np.concatenate(measured.values)
        error = rmse(everything, truth)
        says = np.ptp(np.concatenate(picture), axis=0) > 0
        slope = np.where(says, calibration_slope(everything, truth), np.nan)
    mean = everything.mean(axis=0, dtype=np.float64)
    return GeneFigures(rows.mean(r), rows.mean(rho), low, high, rows.mean(auc), error, mean, slope)


def figures_of_all(parts: Sequence[GeneFigures], back: npt.NDArray[np.int64]) -> GeneFigures:
    """Parts, one after the other, as figures of genes in their own order.

    Parameters
    ----------
    back
        (G,) place of each gene in the parts' sequence.
    """
    return GeneFigures(
        *(
            np.concatenate([getattr(p, field.name) for p in parts])[back]
            for field in fields(GeneFigures)
        )
    )


def section_r(predicted: Values, measured: Values) -> Array:
    """r within each section, (S, G); NaN of fewer than 20 rows."""
    return np.stack(
        [
            known_r(p, m) if len(p) >= LEAST_ROWS else np.full(p.shape[1], np.nan)
            for p, m in zip(predicted, measured, strict=True)
        ]
    )


def known_r(predicted: npt.NDArray[np.float32], measured: npt.NDArray[np.float32]) -> Array:
    """`explained` Pearson r of each column, NaN also where a prediction is missing."""
    return _known(pearson(predicted, measured), predicted, measured)


def known_rho(predicted: npt.NDArray[np.float32], measured: npt.NDArray[np.float32]) -> Array:
    """Spearman's, likewise."""
    return _known(pearson(ranks(predicted), ranks(measured)), predicted, measured)


def _known(
    r: Array, predicted: npt.NDArray[np.float32], measured: npt.NDArray[np.float32]
) -> Array:
    return np.where(np.isnan(predicted).any(axis=0), np.nan, explained(r, measured))


def _section(
    predicted: npt.NDArray[np.float32],
    measured: npt.NDArray[np.float32],
    measured_ranks: Array,
) -> tuple[Array, Array, Array]:
    """r, rho and AUC within one section, (G,) each; NaN of fewer than 20 rows."""
    if len(predicted) < LEAST_ROWS:
        nothing = np.full(predicted.shape[1], np.nan)
        return nothing, nothing, nothing
    predicted_ranks = ranks(predicted)
    return (
        known_r(predicted, measured),
        _known(pearson(predicted_ranks, measured_ranks), predicted, measured),
        ranked_auc(predicted_ranks, measured > 0, LEAST_OF_EITHER),
    )

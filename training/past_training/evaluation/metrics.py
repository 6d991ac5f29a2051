"""How well each gene, and each row, is predicted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from napari_past.types import FloatArray

Scores = npt.NDArray[np.float64]


def pearson(predicted: FloatArray, measured: FloatArray) -> Scores:
    """Pearson r of each column, float64 (G,); NaN where either side is constant.

    Parameters
    ----------
    predicted, measured
        (r, G), rows in the same order. A column with a NaN gives NaN.
    """
    p = predicted.astype(np.float64) - predicted.mean(0, dtype=np.float64)
    m = measured.astype(np.float64) - measured.mean(0, dtype=np.float64)
    norm = np.sqrt((p**2).sum(0) * (m**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(norm > 1e-12, (p * m).sum(0) / norm, np.nan)


def pearson_per_row(predicted: FloatArray, measured: FloatArray) -> Scores:
    """Pearson r over the genes of each row, float64 (r,); NaN where either side is constant.

    Genes differ far more in their mean than rows do, so the mean over the training rows alone
    scores high here: show it beside.
    """
    return pearson(predicted.T, measured.T)


def spearman(predicted: FloatArray, measured: FloatArray) -> Scores:
    """Spearman's rank correlation of each column, float64 (G,); ties share their mean rank.

    NaN where either side is constant or holds a NaN.
    """
    return pearson(rankdata(predicted, axis=0), rankdata(measured, axis=0))


def rmse(predicted: FloatArray, measured: FloatArray) -> Scores:
    """Root mean squared error of each column, float64 (G,), in the unit of the values."""
    difference = predicted.astype(np.float64) - measured
    return np.asarray(np.sqrt((difference**2).mean(0)))


def detection_auc(predicted: FloatArray, detected: npt.NDArray[np.bool_]) -> Scores:
    """Area under the ROC curve of "was the gene seen in this row", float64 (G,).

    The probability that a row in which the gene was seen has the higher predicted value, ties
    counting half (Hanley & McNeil 1982, Radiology 143:29). 0.5 is chance.

    Parameters
    ----------
    predicted, detected
        (r, G) values, and whether the count is above zero.

    Returns
    -------
    NaN where the gene was seen in all rows or in none, or a value is NaN.
    """
    ranks = rankdata(predicted, axis=0)
    seen = detected.sum(0).astype(np.float64)
    unseen = len(detected) - seen
    u = np.where(detected, ranks, 0.0).sum(0) - seen * (seen + 1) / 2
    u = np.where(np.isnan(ranks).any(0), np.nan, u)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(seen * unseen > 0, u / (seen * unseen), np.nan)


def explained(r: Scores, measured: FloatArray) -> Scores:
    """`pearson` as it enters a mean over genes, (G,): a constant prediction counts as 0.

    A predictor must not gain by giving the same value everywhere. Genes whose measurement is
    constant stay NaN, for every predictor alike.
    """
    varies = measured.astype(np.float64).std(0) > 1e-12
    return np.where(varies & np.isnan(r), 0.0, np.where(varies, r, np.nan))

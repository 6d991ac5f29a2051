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


def cross_pearson(predicted: FloatArray, measured: FloatArray) -> npt.NDArray[np.float32]:
    """Pearson r of each measured column with each predicted one, float32 (M, P).

    0 with a constant prediction, NaN of a constant measurement.

    Parameters
    ----------
    predicted, measured
        (r, P) and (r, M), rows in the same order.
    """
    product = unit_length(measured, np.nan).T @ unit_length(predicted, 0.0)
    return np.asarray(product, np.float32)


def unit_length(values: FloatArray, constant: float) -> npt.NDArray[np.float32]:
    """Columns of mean 0 and length 1, so that a product is a Pearson r.

    Parameters
    ----------
    constant
        What the values of a column that does not vary become.
    """
    centred = values - values.mean(0, dtype=np.float64)
    length = np.sqrt((centred**2).sum(0))
    # A column with a NaN has a NaN for its length, and stays NaN.
    flat = length <= 1e-9
    return np.where(flat, constant, centred / np.where(flat, 1.0, length)).astype(np.float32)


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
    return pearson(ranks(predicted), ranks(measured))


def ranks(values: FloatArray) -> npt.NDArray[np.float64]:
    """Ranks of each column from 1, float64; ties share their mean, a column with a NaN is NaN."""
    return np.asarray(rankdata(values, axis=0), np.float64)


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
    return ranked_auc(ranks(predicted), detected)


def ranked_auc(
    predicted_ranks: npt.NDArray[np.float64], detected: npt.NDArray[np.bool_], least: int = 1
) -> Scores:
    """`detection_auc` of predictions of which `ranks` are known.

    Parameters
    ----------
    least
        Rows in which a gene was seen, and in which it was not; with fewer of either it is NaN.
    """
    seen = detected.sum(0).astype(np.float64)
    unseen = len(detected) - seen
    u = np.where(detected, predicted_ranks, 0.0).sum(0) - seen * (seen + 1) / 2
    u = np.where(np.isnan(predicted_ranks).any(0), np.nan, u)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.minimum(seen, unseen) >= least, u / (seen * unseen), np.nan)


def explained(r: Scores, measured: FloatArray) -> Scores:
    """`pearson` as it enters a mean over genes, (G,): a constant prediction counts as 0.

    A predictor must not gain by giving the same value everywhere. Genes whose measurement is
    constant stay NaN, for every predictor alike.
    """
    varies = measured.astype(np.float64).std(0) > 1e-12
    return np.where(varies & np.isnan(r), 0.0, np.where(varies, r, np.nan))

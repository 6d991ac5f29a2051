"""Whether predicted amounts are right, not only their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.types import FloatArray
from napari_past.validation.result import GeneFigures

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MeanCalibration:
    """Predicted beside measured mean expression, over genes, in the measured unit."""

    genes: int
    bias: float
    """Median over genes of predicted − measured mean: above 0 too much is predicted."""
    slope: float
    """Median over genes of `GeneFigures.slope`: below 1 differences between rows are predicted too
    large, above 1 too small."""
    r: float
    """Pearson r over genes of the two means: whether abundant genes are predicted as abundant."""


def calibration_slope(predicted: FloatArray, measured: FloatArray) -> Array:
    """Slope of measured on predicted values of each column by least squares, float64 (G,).

    1 is calibrated; less than 1 means that predictions are spread too wide (Steyerberg 2019,
    Clinical Prediction Models, chapter 15). NaN for a constant prediction.

    Parameters
    ----------
    predicted, measured
        (r, G) in the same unit.
    """
    p = predicted - predicted.mean(axis=0, dtype=np.float64)
    m = measured - measured.mean(axis=0, dtype=np.float64)
    spread = (p**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 1e-12, (p * m).sum(axis=0) / spread, np.nan)


def mean_calibration(figures: GeneFigures, measured_mean: Array) -> MeanCalibration | None:
    """Of a predictor in the measured unit; None of one in another, or with fewer than two genes.

    Parameters
    ----------
    figures
        Of the predictor; its `rmse` is NaN where its unit is another.
    measured_mean
        (G,), log1p(counts per 10k).
    """
    genes = np.flatnonzero(np.isfinite(figures.rmse) & np.isfinite(figures.predicted_mean))
    if len(genes) < 2:
        return None
    predicted, measured = figures.predicted_mean[genes], measured_mean[genes]
    varies = predicted.std() > 1e-12 and measured.std() > 1e-12
    slopes = figures.slope[genes]
    slopes = slopes[np.isfinite(slopes)]
    return MeanCalibration(
        len(genes),
        float(np.median(predicted - measured)),
        float(np.median(slopes)) if len(slopes) else float("nan"),
        float(np.corrcoef(predicted, measured)[0, 1]) if varies else float("nan"),
    )

"""Agreement of estimates with measurements where patients have several regions.

Regions of one patient share what is off in that patient, so that they are not independent: the
variance of the differences is split into one between patients and one within them (one-way analysis
of variance with random effects), and the limits of agreement stand on their sum (Bland & Altman
2007, J Biopharm Stat 17:571).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import pearsonr, spearmanr

from napari_past.model.calibration import LEAST_PATIENTS, Agreement

FloatArray = npt.NDArray[np.float64]


def agreement(
    estimated: FloatArray, measured: FloatArray, patient: npt.NDArray[np.integer]
) -> Agreement:
    """Bias, limits of agreement and correlation over regions.

    Parameters
    ----------
    estimated, measured
        (n,), one region each.
    patient
        (n,), number of its patient, from 0 and without gaps.
    """
    difference = estimated - measured
    counts = np.bincount(patient)
    k = len(counts)
    bias = float(np.mean(np.bincount(patient, difference) / counts))
    between = within = None
    limits = None
    if k >= LEAST_PATIENTS:
        between, within = (float(np.sqrt(v)) for v in variance_components(difference, patient))
        reach = 1.96 * float(np.hypot(between, within))
        limits = (bias - reach, bias + reach)
    constant = np.ptp(estimated) == 0 or np.ptp(measured) == 0
    return Agreement(
        patients=k,
        regions=len(difference),
        bias=bias,
        between_sd=between,
        within_sd=within,
        limits=limits,
        correlation=None if constant else _r(pearsonr(estimated, measured).statistic),
        rank_correlation=None if constant else _r(spearmanr(estimated, measured).statistic),
    )


def variance_components(values: FloatArray, group: npt.NDArray[np.integer]) -> tuple[float, float]:
    """Variance between groups and within them, both >= 0, from the mean squares of an unbalanced
    one-way layout; without any repetition all of it is between.

    Parameters
    ----------
    values
        (n,).
    group
        (n,), numbers from 0 and without gaps, two groups at least.
    """
    counts = np.bincount(group)
    n, k = len(values), len(counts)
    means = np.bincount(group, values) / counts
    inside = float(((values - means[group]) ** 2).sum())
    square_between = float((counts * (means - values.mean()) ** 2).sum()) / (k - 1)
    square_within = inside / (n - k) if n > k else 0.0
    typical = (n - float((counts**2).sum()) / n) / (k - 1)
    return max(0.0, (square_between - square_within) / typical), square_within


def _r(value: float) -> float:
    """Rounding may leave a correlation a little beyond 1."""
    return float(np.clip(value, -1, 1))

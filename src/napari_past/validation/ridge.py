"""The linear read-out of every baseline: ridge regression, its penalty chosen in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from napari_past.model.readout import LinearReadout
from napari_past.types import FloatArray
from napari_past.validation.metrics import pearson

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Candidates, for each row."""
LEFT_OUT = 4
"""Groups of rows that are left out in turn where there is nothing better to leave out."""
MOST_GROUPS = 6


def fit_ridge(features: FloatArray, targets: FloatArray, penalty: float) -> LinearReadout:
    """Ridge regression on standardised features; the scaling is folded back into the weights.

    Parameters
    ----------
    features, targets
        (r, D) and (r, G).
    penalty
        For each row: r times as much is added to the diagonal of the Gram matrix.
    """
    scaler = StandardScaler().fit(features.astype(np.float64))
    ridge = Ridge(alpha=penalty * len(features))
    ridge.fit(scaler.transform(features.astype(np.float64)), targets.astype(np.float64))
    # scikit-learn drops the axis of a single target.
    weight = ridge.coef_.reshape(targets.shape[1], -1) / scaler.scale_
    bias = ridge.intercept_ - weight @ scaler.mean_
    return LinearReadout(weight.astype(np.float32), bias.astype(np.float32))


def best_penalty(
    features: Sequence[FloatArray],
    targets: Sequence[FloatArray],
    penalties: Sequence[float] = PENALTIES,
) -> float:
    """The penalty with the best mean Pearson r when each group of rows is left out in turn.

    Parameters
    ----------
    features, targets
        (r, D) and (r, G) of each group: sections, or patients. A single group is cut into four runs
        of rows, which are stored in the order of the tissue.
    """
    if len(features) == 1:
        features = np.array_split(features[0], LEFT_OUT)
        targets = np.array_split(targets[0], LEFT_OUT)
    scores = []
    for penalty in penalties:
        r = []
        for held in range(len(features)):
            rest = [i for i in range(len(features)) if i != held]
            readout = fit_ridge(
                np.concatenate([features[i] for i in rest]),
                np.concatenate([targets[i] for i in rest]),
                penalty,
            )
            r.append(mean_r(readout.expression(features[held]), targets[held]))
        scores.append(float(np.mean(r)))
    return penalties[int(np.argmax(scores))]


def mean_r(predicted: FloatArray, measured: FloatArray) -> float:
    """Mean Pearson r over the genes, of (r, G), by which settings are chosen; 0 without any."""
    r = pearson(predicted, measured)
    return float(np.nanmean(r)) if np.isfinite(r).any() else 0.0


def groups_of(patients: Sequence[str]) -> list[list[int]]:
    """Which sections are left out together: patients where there are two, else sections.

    At most six groups: a patient's (or section's) rows stay together, and the order decides which
    share a group.

    Parameters
    ----------
    patients
        Of each section.
    """
    units = list(patients) if len(set(patients)) > 1 else [str(i) for i in range(len(patients))]
    group = {unit: k % MOST_GROUPS for k, unit in enumerate(dict.fromkeys(units))}
    members: dict[int, list[int]] = {}
    for section, unit in enumerate(units):
        members.setdefault(group[unit], []).append(section)
    return list(members.values())


def grouped(patients: Sequence[str], parts: Sequence[FloatArray]) -> list[FloatArray]:
    """Rows (r, D) of each section, joined by `groups_of`."""
    groups = groups_of(patients)
    return [np.concatenate([parts[section] for section in group]) for group in groups]

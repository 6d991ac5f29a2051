"""Each gene's mean over the training rows: what is known without a look at the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_past.model.traces import NO_TRACES, TrainingTraces
from napari_past.validation.predictor import TissueFold, Watch
from napari_past.validation.tissue import MEASURED_UNIT, Tissue


class TrainingMean:
    """The same values for all rows that are held out together."""

    name = "training mean"
    unit: str | None = MEASURED_UNIT
    field_um = 0.0
    sha256 = ""
    fitted_here = True
    traces: TrainingTraces = NO_TRACES

    def genes(self, measured: Sequence[str]) -> tuple[str, ...]:
        """All of them."""
        return tuple(measured)

    def predict(
        self,
        tissues: Sequence[Tissue],
        folds: Sequence[TissueFold],
        genes: Sequence[str],
        watch: Watch,
    ) -> list[npt.NDArray[np.float32]]:
        """Means over each fold's training rows, (k, G)."""
        return fold_means(folds, [tissue.measured(genes) for tissue in tissues])


def fold_means(
    folds: Sequence[TissueFold], measured: Sequence[npt.NDArray[np.float32]]
) -> list[npt.NDArray[np.float32]]:
    """For each row the mean over the rows that may be fitted on for it, (k, G); NaN without folds.

    Parameters
    ----------
    measured
        (k, G) of each tissue.
    """
    means = [np.full(values.shape, np.nan, np.float32) for values in measured]
    for fold in folds:
        pairs = list(zip(measured, fold.train, strict=True))
        rows = sum(int(np.count_nonzero(train)) for _, train in pairs)
        total = sum(values[train].sum(axis=0, dtype=np.float64) for values, train in pairs)
        for mean, held in zip(means, fold.held, strict=True):
            mean[held] = total / rows
    return means

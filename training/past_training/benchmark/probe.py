"""The benchmark's regression: standardised, reduced by PCA, ridge; and its measure.

HEST-Benchmark, Jaume et al. 2024 (arXiv 2406.16192), as its published code has it (docs/hest.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_past.types import FloatArray
from napari_past.validation.metrics import Scores, explained, pearson
from past_training.benchmark.recipe import Probe


def components_of(probe: Probe, rows: int, numbers: int) -> int:
    """Components of the PCA: those asked for, but not more than training rows or numbers."""
    return min(probe.components, rows, numbers)


@dataclass(frozen=True)
class FittedProbe:
    """A probe that was fitted on training patches."""

    reduce: Pipeline
    ridge: Ridge

    def predict(self, vectors: FloatArray) -> npt.NDArray[np.float32]:
        """Genes (n, G) float32 of vectors (n, D)."""
        found = self.ridge.predict(_reduced(self.reduce, vectors))
        return np.asarray(found, np.float32).reshape(len(vectors), -1)


def fitted(train: FloatArray, measured: npt.NDArray[np.float64], probe: Probe) -> FittedProbe:
    """The probe, fitted.

    Parameters
    ----------
    train
        Vectors of the training patches, (n, D).
    measured
        What was measured in them, (n, G).
    """
    components = components_of(probe, *train.shape)
    reduce = make_pipeline(StandardScaler(), PCA(components, random_state=probe.seed))
    # Not the same to the last bits as to transform them once it is fitted; the benchmark does this.
    reduced = np.asarray(reduce.fit_transform(train.astype(np.float32)), np.float32)
    ridge = Ridge(
        alpha=probe.penalty / (components * measured.shape[1]),
        solver="lsqr",
        fit_intercept=False,
        max_iter=probe.iterations,
        random_state=probe.seed,
    )
    ridge.fit(reduced, measured)
    return FittedProbe(reduce, ridge)


def _reduced(reduce: Pipeline, vectors: FloatArray) -> npt.NDArray[np.float32]:
    return np.asarray(reduce.transform(vectors.astype(np.float32)), np.float32)


def scores(values: FloatArray, measured: npt.NDArray[np.float64]) -> Scores:
    """Pearson r of each gene over all held-out patches of a fold together, float64 (G,).

    A constant prediction counts as 0; NaN where the measurement is constant.
    """
    return explained(pearson(values, measured), measured)

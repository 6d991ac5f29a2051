"""How sure a correlation is, from patients drawn with replacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_past.validation.compared_rows import Array, ComparedRows, Values, finite_mean
from napari_past.validation.figures import section_r
from napari_past.validation.intervals import bootstrap_draws, bootstrap_means


@dataclass(frozen=True, eq=False)
class PatientIntervals:
    """Percentile bootstrap over whole patients, as `bootstrap_mean` has it: sections of one patient
    are averaged first, because they are alike. Patients without a section of 20 rows are none."""

    rows: ComparedRows
    levels: tuple[float, float] = (0.025, 0.975)

    def genes(self, predicted: Values, measured: Values) -> tuple[Array, Array]:
        """Low and high of the 95 % interval of r of each gene, (G,) each; NaN of a gene with fewer
        than five patients.

        Parameters
        ----------
        predicted, measured
            (k, G) of each section's compared rows.
        """
        return bootstrap_means(self._of_patients(predicted, measured))

    def mean(self, predicted: Values, measured: Values) -> Array:
        """Mean r over the genes in each draw, (D,); NaN with fewer than five patients."""
        means = finite_mean(self._of_patients(predicted, measured).T)
        return bootstrap_draws(means[:, None])[:, 0]

    def _of_patients(self, predicted: Values, measured: Values) -> Array:
        return self.rows.patient_means(section_r(predicted, measured))


@dataclass(frozen=True, eq=False)
class NoIntervals:
    """Too little to draw from."""

    levels: tuple[float, float] = (0.025, 0.975)

    def genes(self, predicted: Values, measured: Values) -> tuple[Array, Array]:
        """NaN for each gene, (G,) each."""
        low, high = np.full((2, predicted[0].shape[1]), np.nan)
        return low, high

    def mean(self, predicted: Values, measured: Values) -> Array:
        """One draw that is NaN."""
        return np.full(1, np.nan)

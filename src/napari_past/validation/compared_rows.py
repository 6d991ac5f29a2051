"""The rows on which all predictors are compared, and figures of sections put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_past.validation.seen import same_slides
from napari_past.validation.tissue import IntArray, Tissue

LEAST_ROWS = 20
"""A correlation over fewer says nothing."""

Array = npt.NDArray[np.float64]
Values = list[npt.NDArray[np.float32]]
"""(k, G) of each tissue."""


@dataclass(frozen=True, eq=False)
class ComparedRows:
    """Rows that every predictor predicts."""

    tissues: tuple[Tissue, ...]
    kept: tuple[IntArray, ...]
    """Places (k,) among each tissue's rows, ascending."""

    def __len__(self) -> int:
        return sum(map(len, self.kept))

    def of(self, values: Sequence[npt.NDArray[np.float32]]) -> Values:
        """Of values for all rows of the tissues, those of these rows."""
        return [part[kept] for part, kept in zip(values, self.kept, strict=True)]

    def measured(self, genes: Sequence[str]) -> Values:
        """Measured values of these rows."""
        return self.of([tissue.measured(genes) for tissue in self.tissues])

    @property
    def row_um(self) -> list[npt.NDArray[np.float64]]:
        """(k, 2) of each tissue, (x, y) in slide space."""
        return [t.row_um[kept] for t, kept in zip(self.tissues, self.kept, strict=True)]

    @cached_property
    def patients(self) -> dict[str, tuple[int, ...]]:
        """Patient → places of the tissues that are theirs."""
        found: dict[str, tuple[int, ...]] = {}
        for i, tissue in enumerate(self.tissues):
            patient = tissue.section.patient
            found[patient] = (*found.get(patient, ()), i)
        return found

    @cached_property
    def telling_patients(self) -> tuple[str, ...]:
        """Those with a section of 20 rows or more; the others have no correlation."""
        return tuple(
            patient
            for patient, sections in self.patients.items()
            if max(len(self.kept[i]) for i in sections) >= LEAST_ROWS
        )

    @cached_property
    def _patient_slides(self) -> list[list[list[int]]]:
        """Places of each telling patient's tissues, those on one H&E together."""
        slides = same_slides(self.tissues)
        return [
            [
                [i for i in self.patients[patient] if slides[i] == slide]
                for slide in dict.fromkeys(slides[i] for i in self.patients[patient])
            ]
            for patient in self.telling_patients
        ]

    def patient_means(self, of_section: Array) -> Array:
        """Means over each telling patient's sections, (P, …), of (S, …); NaN are left out.

        Sections on one H&E count as one: nothing is gained by giving it twice.
        """
        return np.stack(
            [
                finite_mean(np.stack([finite_mean(of_section[one]) for one in slides]))
                for slides in self._patient_slides
            ]
        )

    def mean(self, of_section: Array) -> Array:
        """Mean over patients of the mean over their sections, (…), of (S, …); NaN are left out."""
        return finite_mean(self.patient_means(of_section))


def finite_mean(values: Array) -> Array:
    """Mean over the first axis of what is not NaN; NaN where nothing is."""
    finite = ~np.isnan(values)
    total = np.where(finite, values, 0.0).sum(axis=0)
    n = finite.sum(axis=0)
    return np.asarray(np.where(n > 0, total / np.maximum(n, 1), np.nan))

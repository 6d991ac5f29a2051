"""What a validation found. Arrays over genes are in the order of `Validation.genes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
IntervalOver = Literal["blocks", "patients"]


@dataclass(frozen=True, eq=False)
class GeneFigures:
    """How one predictor does, gene by gene, on the rows that were compared. All float64 (G,).

    r, rho and AUC are those within a section, averaged over the sections of a patient and then over
    patients, as benchmarks have it (HEST-1k, arXiv 2406.16192): sections that differ in their mean
    add nothing to them. Errors, means and the slope are over all rows.
    """

    r: Array
    """Pearson's; 0 for a constant prediction, NaN where what was measured is constant."""
    rho: Array
    """Spearman's, likewise."""
    low: Array
    high: Array
    """95 % interval of r; NaN where there is none, and `Validation.interval_over` says why."""
    auc: Array
    """Of "was the gene seen in this row"; NaN where no section has ten rows in which it was, and
    ten in which it was not."""
    rmse: Array
    """In the measured unit; NaN where the predictor's unit is another or not known."""
    predicted_mean: Array
    """In the predictor's unit."""
    slope: Array
    """Of measured on predicted values, by least squares; 1 is calibrated. NaN like `rmse`."""


@dataclass(frozen=True, eq=False)
class PredictorResult:
    """One line of the table."""

    name: str
    unit: str | None
    fitted_here: bool
    """Whether it was fitted on other rows of this very tissue, as a baseline is. Its r, rho and AUC
    are then of what it adds to the mean of those rows."""
    seen: tuple[str, ...]
    """Sections that it was trained on; its figures on them are no validation."""
    figures: GeneFigures
    mean_low: float
    mean_high: float
    """95 % interval of the mean r over `Validation.variable`; NaN where there is none."""
    ahead_low: float
    ahead_high: float
    """95 % interval of how much higher that mean is for the predictor that is validated, on the
    same draws: above 0 it is better than this one. NaN for itself, and where there is none."""


@dataclass(frozen=True, eq=False)
class GroupResult:
    """The validated predictor within one group of rows."""

    kind: Literal["region", "cell type", "patient", "section"]
    name: str
    rows: int
    r: Array
    """(G,); NaN where the group has too few rows or the gene defined it."""
    rho: Array


@dataclass(frozen=True)
class TissueFacts:
    """A section that was validated on."""

    name: str
    patient: str
    """`napari_past.spatial.section.UNKNOWN_PATIENT` where nobody said."""
    technology: str
    resolution: str
    """"single cells", "100 µm spots"."""
    slide: str
    fingerprint: str
    rows: int
    """That were compared."""
    usable: int
    """That could have been."""
    measured: int
    """Of the section."""


@dataclass(frozen=True, eq=False)
class RowMaps:
    """Values of the rows of one section, for maps of what is measured, predicted and left over.

    Of many genes some are kept: the asked, the variable, and the best and worst of them.
    """

    tissue: str
    """Name of the section."""
    row_um: Array
    """(k, 2), (x, y) in slide space."""
    spot_diameter_um: float | None
    genes: npt.NDArray[np.int64]
    """(h,) ascending places among `Validation.genes` of those that are kept."""
    measured: npt.NDArray[np.float32]
    """(k, h), log1p(counts per 10k)."""
    predicted: npt.NDArray[np.float32]
    """(k, h), of the validated predictor, in its unit."""

    def column(self, gene: int) -> int | None:
        """Of `measured` and `predicted`, by the place of a gene in `Validation.genes`; None where
        the gene is not among those that are kept."""
        at = int(np.searchsorted(self.genes, gene))
        return at if at < len(self.genes) and self.genes[at] == gene else None

    def residual(self, column: int) -> npt.NDArray[np.float32]:
        """Predicted − measured, (k,), each less its mean over the section and divided by its
        deviation: what is too high or too low for its place, whatever the units."""
        return standardised(self.predicted[:, column]) - standardised(self.measured[:, column])


@dataclass(frozen=True, eq=False)
class Validation:
    """Predicted against measured, with what it is compared with."""

    about: str
    """Name of the predictor that it is about: the first of `results`."""
    model_sha256: str
    """Of the model file; of an imported table that of the file."""
    unit: str | None
    tissues: tuple[TissueFacts, ...]
    genes: tuple[str, ...]
    """Measured in all sections and predicted by all predictors."""
    measured_mean: Array
    """(G,), log1p(counts per 10k)."""
    detected: Array
    """(G,), share of the rows in which the gene was seen."""
    variable: npt.NDArray[np.int64]
    """Places of the genes by whose mean r the predictors are compared: the most variable ones, in
    the order of their variance."""
    asked: npt.NDArray[np.int64]
    """Places of the genes that were asked for by name, in that order."""
    results: tuple[PredictorResult, ...]
    random_r: Array
    """(G,), mean r of predictions of other genes, expressed as much, with this gene."""
    percentile: Array
    """(G,), percent of those that its own prediction beats; 50 is chance."""
    groups: tuple[GroupResult, ...]
    maps: tuple[RowMaps, ...]
    traced: bool
    """Whether anything is known of what it was trained on; if not, it may be this very tissue."""
    seen_patients: tuple[str, ...]
    """Patients of whom the model was trained on other tissue, as far as their names tell."""
    interval_over: IntervalOver | None
    interval_note: str
    """What the interval covers, or why there is none; a sentence."""
    held_out: str
    """How baselines were fitted and what was held out; a sentence."""
    warnings: tuple[str, ...]
    """Of placement, matching, units and tissue that was trained on; a sentence each."""
    versions: Mapping[str, str]

    @property
    def main(self) -> PredictorResult:
        """Of the predictor that it is about."""
        return self.results[0]

    @property
    def seen(self) -> tuple[str, ...]:
        """Sections that the model was trained on."""
        return self.main.seen


def standardised(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Values (k,) of mean 0 and deviation 1; zeros where they do not vary."""
    centred = values.astype(np.float64) - values.mean(dtype=np.float64)
    deviation = centred.std()
    return np.asarray(centred / deviation if deviation > 1e-9 else centred * 0, np.float32)


def mean_r(figures: GeneFigures, genes: npt.NDArray[np.int64]) -> float:
    """Mean Pearson r over some genes; NaN without any that varies."""
    values = figures.r[genes]
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")

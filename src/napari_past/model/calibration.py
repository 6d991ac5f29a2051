"""What is known of a model's values beside a real stain: a value that is saved, and goes in cards.

It holds no date and no name of a patient, so that the same table gives the same bytes.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field

from napari_past.errors import BadTable
from napari_past.model.strict import Strict, first_mistake
from napari_past.types import RESEARCH_USE

CALIBRATION_SCHEMA: Final = 1
LOCAL_BELOW = 10
"""Patients: with fewer it is a local calibration."""
LEAST_PATIENTS = 3
"""With fewer there are no limits and no intervals."""

Quantity = Literal["od", "h-score", "percent"]
UNITS = {"od": "DAB optical density", "h-score": "H-score", "percent": "% positive"}
MOST = {"od": float("inf"), "h-score": 300.0, "percent": 100.0}
"""Largest value of each quantity; the smallest is 0."""

Positive = Annotated[float, Field(ge=0)]
PearsonR = Annotated[float, Field(ge=-1, le=1)]


class Agreement(Strict):
    """How estimates differ from measurements: estimate − measured, regions within patients."""

    patients: Annotated[int, Field(ge=1)]
    regions: Annotated[int, Field(ge=1)]
    bias: float
    """Mean over patients of their mean difference."""
    between_sd: Positive | None
    """Standard deviation of patients around the bias; None under `LEAST_PATIENTS`."""
    within_sd: Positive | None
    """Standard deviation of a patient's regions around the patient."""
    limits: tuple[float, float] | None
    """95 % limits of agreement, bias ± 1.96 · √(between² + within²)."""
    correlation: PearsonR | None
    """Pearson r of estimate and measurement over regions; None where one of them is constant."""
    rank_correlation: PearsonR | None
    """Spearman's."""

    @property
    def deviation(self) -> float | None:
        """Of a new patient's region, √(between² + within²); None under `LEAST_PATIENTS`."""
        if self.between_sd is None or self.within_sd is None:
            return None
        return float((self.between_sd**2 + self.within_sd**2) ** 0.5)


class PatientResiduals(Strict):
    """Estimate − measured in the regions of one patient, whom the map had not seen."""

    patient: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Digest of the name, by which the same patient is known again."""
    residuals: Annotated[tuple[float, ...], Field(min_length=1)]


class Calibration(Strict):
    """A monotone map from predicted values to a real stain, and how far off it is."""

    schema_version: Literal[1] = CALIBRATION_SCHEMA
    research_use: str = RESEARCH_USE
    marker: Annotated[str, Field(min_length=1)]
    """As it is shown: "ESR1 (ER)"."""
    asked: Annotated[str, Field(min_length=1)]
    """As it was asked for: "ER"."""
    genes: Annotated[tuple[str, ...], Field(min_length=1)]
    """Whose predicted values are averaged."""
    model: str
    model_version: str
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    predicted_unit: str
    """Of the values that are mapped."""
    quantity: Quantity
    """What they are mapped to."""
    level: Literal["regions", "cells"]
    """cells: matched cells of one section that was stained again; regions: means of regions."""
    clone: str = ""
    """Of the antibody; empty where nobody told."""
    scanner: str = ""
    """Of the stained slides; empty where nobody told."""
    knots: Annotated[tuple[tuple[float, float], ...], Field(min_length=2)]
    """(predicted, measured), ascending; straight between them, level beyond."""
    held_out: Agreement
    """Of estimates for patients whom the map had not seen."""
    residuals: Annotated[tuple[PatientResiduals, ...], Field(min_length=2)]
    """By patient, ordered by digest; of matched cells the means of their regions."""
    cell_sd: Positive | None
    """Standard deviation of matched cells' optical density around the map, within a region; None
    where regions were matched, which do not tell it."""
    cutoffs: tuple[float, float, float] | None = None
    """At which the scores that are mapped were counted; None where values are mapped, and in files
    of earlier versions, where they are those of the model's card."""

    @pydantic.model_validator(mode="after")
    def _agree(self) -> Calibration:
        for (x0, y0), (x1, y1) in zip(self.knots, self.knots[1:], strict=False):
            if not (x0 < x1 and y0 <= y1):
                raise ValueError("knots: they do not ascend")
        if len({r.patient for r in self.residuals}) != len(self.residuals):
            raise ValueError("residuals: a patient is listed twice")
        counts = len(self.residuals), sum(len(r.residuals) for r in self.residuals)
        if counts != (self.held_out.patients, self.held_out.regions):
            raise ValueError("residuals: they are not of the patients and regions of held_out")
        return self

    @property
    def patients(self) -> int:
        return self.held_out.patients

    @property
    def local(self) -> bool:
        """Too few patients to speak of more than the place where it was made."""
        return self.patients < LOCAL_BELOW

    @property
    def unit(self) -> str:
        return UNITS[self.quantity]

    @property
    def span(self) -> tuple[float, float]:
        """The predicted values that were calibrated, first and last."""
        return self.knots[0][0], self.knots[-1][0]

    def named(self, score: str = "") -> str:
        """As "predicted H-score (calibrated: SP1, 24 patients)"; `score`: else the unit."""
        kind = "local calibration" if self.local else "calibrated"
        clone = self.clone or "antibody clone not told"
        return f"predicted {score or self.unit} ({kind}: {clone}, {self.patients} patients)"


def parse_calibration(text: str, where: str) -> Calibration:
    """The calibration in a JSON text.

    Raises
    ------
    BadTable
        With the first difference from what a calibration must hold.
    """
    try:
        return Calibration.model_validate_json(text, strict=True)
    except pydantic.ValidationError as exc:
        mistake = first_mistake(exc, "calibration")
        raise BadTable(
            f"{where} is no valid calibration at {mistake}; make it again with `napari-past "
            "calibrate`."
        ) from exc

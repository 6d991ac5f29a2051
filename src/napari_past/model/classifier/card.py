"""What a classifier of cells says about itself."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field

from napari_past.model.strict import Strict
from napari_past.types import RESEARCH_USE

CLASSIFIER_SCHEMA: Final = 1
NOT_VALIDATED = "not validated"

Score = Annotated[float, Field(ge=0, le=1)]
LabelledBy = Literal["clicks", "regions", "table"]


class LabelledSlide(Strict):
    """A slide whose cells were labelled."""

    name: str
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    """Empty where the table does not tell."""
    cells: dict[str, Annotated[int, Field(ge=0)]]
    """Class → labelled cells."""


class HeldOut(Strict):
    """How well labelled cells were told whose slide, or block of tissue, was left out."""

    by: str
    """What was left out in turn: "slides", "blocks of 200 µm" …; empty where nothing could be."""
    groups: Annotated[int, Field(ge=0)]
    """How many of them hold labelled cells."""
    macro_f1: Score | None
    """Mean over the classes; None where nothing was left out."""
    low: Score | None
    high: Score | None
    """95 % interval of it, what was left out being resampled; None with few of them."""
    f1: dict[str, Score]
    """Class → its F1; empty where nothing was left out."""
    reason: str
    """Why nothing was left out; else empty."""

    @property
    def label(self) -> str:
        """As "held-out macro-F1 0.71 (0.60 to 0.80), 12 blocks of 200 µm left out in
        turn", or "not validated"."""
        if self.macro_f1 is None:
            return f"{NOT_VALIDATED} ({self.reason})" if self.reason else NOT_VALIDATED
        interval = (
            "" if self.low is None or self.high is None else f" ({self.low:.2f} to {self.high:.2f})"
        )
        left_out = f"{self.groups} {self.by} left out in turn"
        return f"held-out macro-F1 {self.macro_f1:.2f}{interval}, {left_out}"


UNCHECKED = HeldOut(by="", groups=0, macro_f1=None, low=None, high=None, f1={}, reason="")


class ClassifierCard(Strict):
    """Classes, the model whose vectors they are told from, the labels, and the evidence."""

    schema_version: Literal[1] = CLASSIFIER_SCHEMA
    research_use: str = RESEARCH_USE
    name: Annotated[str, Field(min_length=1)]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    model: str
    model_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the model file whose vectors it takes."""
    embed_dim: Annotated[int, Field(ge=1)]
    labelled_by: tuple[LabelledBy, ...]
    slides: Annotated[tuple[LabelledSlide, ...], Field(min_length=1)]
    prior_logit: Annotated[float, Field(gt=0)]
    """Strength of the ridge, as `probe.PRIOR_LOGIT`."""
    held_out: HeldOut
    versions: dict[str, str]

    @property
    def labelled(self) -> dict[str, int]:
        """Class → labelled cells of all slides."""
        return {c: sum(slide.cells.get(c, 0) for slide in self.slides) for c in self.classes}

    @property
    def fitted_on(self) -> str:
        """As "12 clicks of this slide" reads: "40 labelled cells (clicks, regions) of 2 slides"."""
        n = sum(self.labelled.values())
        slides = len(self.slides)
        how = f" ({', '.join(self.labelled_by)})" if self.labelled_by else ""
        return (
            f"{n} labelled cell{'' if n == 1 else 's'}{how} of {slides} "
            f"slide{'' if slides == 1 else 's'}"
        )

    @property
    def sentence(self) -> str:
        """For who looks at the classes: on what it was fitted, and what is known of it."""
        return f"Fitted on {self.fitted_on}; {self.held_out.label}."

    @pydantic.model_validator(mode="after")
    def _classes_fit(self) -> ClassifierCard:
        if len(set(self.classes)) < len(self.classes) or not all(self.classes):
            raise ValueError("classes must have different names, none of them empty")
        return self

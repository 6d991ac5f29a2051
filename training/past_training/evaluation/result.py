"""What an evaluation found: values alone, from which the report is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from past_training.dataset.splits import By
from past_training.evaluation.retrieval import Retrieval

if TYPE_CHECKING:
    from past_training.evaluation.marker_sets import MarkerCheck

Scores = npt.NDArray[np.float64]


class Standing(StrEnum):
    """What a predictor had seen of a section before it was held against it."""

    HELD_OUT = "held out"
    SAME_SECTION = "trained on this section"
    SAME_PATIENT = "trained on this patient"


@dataclass(frozen=True)
class Chance:
    """What remains when predictions are laid on other parts of the tissue."""

    shuffles: int
    mean_r: float
    """Mean r over the variable genes whose prediction and measurement vary."""
    null_r: float
    """The same of shuffled predictions, on average over the shuffles."""
    high_null_r: float
    """95 % of the shuffles stay below."""
    best: int
    """How many genes that happen to be best here the next figures are about."""
    best_r: float
    """Their mean r; not a figure of merit, since they were chosen on the test."""
    best_null_r: float
    """The same choice made on shuffled predictions, on average."""


@dataclass(frozen=True)
class SectionScore:
    """One predictor on one section."""

    predictor: str
    standing: Standing
    r: Scores
    """(G,) Pearson r of the fold's genes; 0 for a constant prediction, NaN where the measurement is
    constant or the section did not measure the gene."""
    rho: Scores
    """(G,) Spearman's, alike."""
    rmse: Scores
    """(G,) in log1p(counts per 10k)."""
    auc: Scores
    """(G,) of detection."""
    row_r: Scores
    """(k,) Pearson r over the genes of each row."""
    retrieval: Retrieval
    chance: Chance | None
    """None for a constant prediction, or where the tissue is too small."""


@dataclass(frozen=True)
class GeneMap:
    """A gene over a section, measured and predicted."""

    gene: str
    chosen: str
    """Why it is shown: "best on training rows"."""
    predictor: str
    standing: Standing
    r: float
    measured: npt.NDArray[np.float32]
    """(k,)."""
    predicted: npt.NDArray[np.float32]
    """(k,)."""


@dataclass(frozen=True)
class HeldSection:
    """What was found on one section that was held out, or on one block of it."""

    name: str
    """Of the section; of a block: ``"block 1 of C2"``."""
    patient: str
    rows: int
    """Of the section, or of the block."""
    usable: int
    """Of those, with a nucleus and a count."""
    row_um: npt.NDArray[np.float64]
    """(k, 2) places of those that were looked at."""
    spot_diameter_um: float | None
    scores: tuple[SectionScore, ...]
    """In the order of the predictors."""
    maps: tuple[GeneMap, ...]

    def score(self, predictor: str) -> SectionScore:
        """The score of one predictor."""
        return next(s for s in self.scores if s.predictor == predictor)


@dataclass(frozen=True)
class FoldResult:
    """One way to hold out."""

    name: str
    training: tuple[str, ...]
    """Names of the training sections."""
    training_rows: int
    genes: tuple[str, ...]
    """That were compared: those that every predictor has."""
    lacking: tuple[str, ...]
    """Variable genes, or genes asked for, that some predictor does not have."""
    subsets: Mapping[str, npt.NDArray[np.int64]]
    """``variable``, ``top``, ``asked`` → places among `genes`."""
    held: tuple[HeldSection, ...]


@dataclass(frozen=True)
class Unavailable:
    """A baseline that could not be had, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class DatasetFacts:
    """Of the dataset, for the report."""

    name: str
    technology: str
    tissue: str
    resolution: str
    """"100 µm spots", "single cells"."""
    mpp: float
    sections: int
    patients: int


@dataclass(frozen=True)
class ModelFacts:
    """Of the model that is evaluated, for the report."""

    name: str
    version: str
    sha256: tuple[str, ...]
    """Of each file."""
    licence: str
    attribution: str
    training_data: str
    expression_unit: str


@dataclass(frozen=True)
class Filled:
    """A model that does not know every gene: for the others the training mean stands in."""

    model: str
    predictor: str
    """What it is called in the tables."""
    known: frozenset[str]
    """Genes that it predicts itself."""


@dataclass(frozen=True)
class Evaluation:
    """All that was found."""

    dataset: DatasetFacts
    model: ModelFacts | None
    by: By
    predictors: tuple[str, ...]
    """Names; the first is the one that it is about."""
    folds: tuple[FoldResult, ...]
    unavailable: tuple[Unavailable, ...] = ()
    markers: MarkerCheck | None = None
    versions: Mapping[str, str] | None = None
    gap_um: float | None = None
    """Of blocks: least distance from a training row to a row that was held out of its section."""
    filled: Filled | None = None
    """Where a predictor is the training mean for some of the genes."""

    @property
    def unit(self) -> str:
        """What each of `sections` is: ``section``, or ``block`` of one."""
        return "block" if self.by == "block" else "section"

    @property
    def sections(self) -> tuple[HeldSection, ...]:
        """All that were held out, fold by fold."""
        return tuple(section for fold in self.folds for section in fold.held)

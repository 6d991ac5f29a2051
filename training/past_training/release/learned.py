"""What a training run makes of rows: a tower and a read-out, fitted on those rows alone.

The same function makes the model that is released and, with fewer rows, the ones that its evidence
comes from: the table of the report compares them as it compares any predictor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.model import Card, EncoderCard
from napari_past.model.traces import NO_TRACES, TrainingTraces
from past_training.dataset.read import PairedDataset
from past_training.evaluation.predictors import FittedMlp, FittedRidge, MlpOn, RidgeOn
from past_training.evaluation.rows import TrainingSet
from past_training.evaluation.towers import ModelTower, tower_model
from past_training.release.making import draft_card
from past_training.release.statements import Statements

State = Mapping[str, npt.NDArray[np.generic]]
"""Weights of an image tower, by name."""
ReadoutKind = Literal["ridge", "mlp"]
"""``ridge``: linear; ``mlp``: with one hidden layer."""
FitTower = Callable[[PairedDataset, Sequence[str]], State]
"""Trains a tower on the rows that a dataset shows, genes with the best expressed first."""


@dataclass(frozen=True)
class Learned:
    """A tower with its read-out."""

    card: Card
    """A draft: nothing is measured yet."""
    state: State
    tower: ModelTower
    fitted: FittedRidge | FittedMlp


@dataclass(frozen=True)
class Learner:
    """Trains a tower, then a read-out on top of it; a `Predictor` of the evaluation."""

    name: str
    """As the table has it."""
    encoder: EncoderCard
    statements: Statements
    fit_tower: FitTower
    seen: TrainingTraces = NO_TRACES
    """Of what the tower had been trained on before it came here."""
    device: str = "auto"
    readout: ReadoutKind = "ridge"
    frozen: ModelTower | None = None
    """A tower whose weights `fit_tower` gives whatever it is shown: what it embedded once is used
    again."""

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedRidge | FittedMlp:
        """Fit on the training rows, which are all that it is shown."""
        return self.learn(train, genes).fitted

    def learn(self, train: TrainingSet, genes: Sequence[str]) -> Learned:
        """The tower and its read-out of `genes`, the best expressed first."""
        state = self.fit_tower(train.dataset, genes)
        card = draft_card(self.encoder, genes, self.statements, train, self.seen)
        tower = self.frozen or ModelTower(tower_model(card, state, self.device), self.name)
        kind = MlpOn if self.readout == "mlp" else RidgeOn
        return Learned(
            card, state, tower, kind(tower, frozenset(self.seen.images)).fit(train, genes)
        )

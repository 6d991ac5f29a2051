"""What is compared: anything that is fitted on training rows and predicts those held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.model.readout import LinearReadout, MlpReadout
from napari_past.validation.model_predictor import model_symbols
from napari_past.validation.ridge import best_penalty, fit_ridge, grouped, groups_of
from past_training.evaluation.mlp import Bags, best_settings, fit_mlp, joined, row_values
from past_training.evaluation.rows import SectionRows, TrainingSet
from past_training.evaluation.towers import ModelTower

_NUCLEI_AT_ONCE = 16_384
_JUDGED_BY = 250
"""The settings of a read-out are chosen by so many genes, the most variable ones."""


class Fitted(Protocol):
    """A predictor that has been fitted."""

    @property
    def genes(self) -> tuple[str, ...]:
        """Of the genes that were asked for, those that it predicts, in that order."""

    @property
    def training_fingerprints(self) -> frozenset[str]:
        """Images that it was trained on before it was fitted here; empty for none."""

    def predict(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """log1p(counts per 10k), float32 (k, len(genes)), of the rows of a section."""


class Predictor(Protocol):
    """Something to compare."""

    @property
    def name(self) -> str:
        """As the table has it."""

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> Fitted:
        """Fit on the training rows, which are all that it is shown."""


class Embedder(Protocol):
    """Features of rows from pixels alone."""

    @property
    def name(self) -> str:
        """As the table has it."""

    def embed(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Features (k, D) of the rows of a section, without a look at what was measured."""


@dataclass(frozen=True)
class FittedMean:
    """The same values for every row."""

    genes: tuple[str, ...]
    mean: npt.NDArray[np.float32]
    """(G,)."""
    training_fingerprints: frozenset[str] = frozenset()

    def predict(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """The mean of the training rows, (k, G)."""
        return np.tile(self.mean, (len(rows), 1))


class TrainingMean:
    """Each gene's mean over the training rows: what is known without a look at the picture."""

    name = "training mean"

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedMean:
        """The means of `genes`."""
        values = np.concatenate(train.values(genes))
        return FittedMean(tuple(genes), values.mean(0, dtype=np.float64).astype(np.float32))


@dataclass(frozen=True)
class FittedRidge:
    """A linear read-out on an embedding."""

    genes: tuple[str, ...]
    embedding: _Kept
    readout: LinearReadout
    training_fingerprints: frozenset[str]

    def predict(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Predictions (k, G)."""
        return self.readout.expression(self.embedding.of(rows))


class RidgeOn:
    """Ridge regression on an embedding that is not trained here.

    The penalty is the one with the best mean r over the most variable genes when training patients
    (sections where there is one patient) are left out in turn.
    """

    def __init__(
        self, embedder: Embedder, training_fingerprints: frozenset[str] = frozenset()
    ) -> None:
        self.name = f"ridge on {embedder.name}"
        self._embedding = _Kept(embedder)
        self._training_fingerprints = training_fingerprints

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedRidge:
        """A read-out for `genes`, fitted on the training rows."""
        features = grouped(train.patients, [self._embedding.of(part) for part in train.rows])
        targets = grouped(train.patients, train.values(genes))
        # Genes that hardly vary would choose the largest penalty for all.
        varies = most_variable(np.concatenate(targets))
        penalty = best_penalty(features, [target[:, varies] for target in targets])
        readout = fit_ridge(np.concatenate(features), np.concatenate(targets), penalty)
        return FittedRidge(tuple(genes), self._embedding, readout, self._training_fingerprints)


@dataclass(frozen=True)
class FittedMlp:
    """A read-out with a hidden layer on each nucleus that a tower embeds."""

    genes: tuple[str, ...]
    tower: ModelTower
    readout: MlpReadout
    training_fingerprints: frozenset[str]

    def predict(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Mean over a row's nuclei of what the read-out gives for each, (k, G)."""
        nothing = np.zeros((len(rows), 0), np.float32)
        bags = Bags(self.tower.embed_nuclei(rows), rows.nuclei.row, nothing)
        return row_values(self.readout, bags)


class MlpOn:
    """A read-out with a hidden layer on a tower that is not trained here.

    Weight decay and epochs are those with the best mean r over the most variable genes when parts
    of the training rows are left out, by patients, or by sections where there is one patient.
    """

    def __init__(
        self, tower: ModelTower, training_fingerprints: frozenset[str] = frozenset()
    ) -> None:
        self.name = f"a hidden layer on {tower.name}"
        self._tower = tower
        self._training_fingerprints = training_fingerprints

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedMlp:
        """A read-out for `genes`, fitted on the training rows."""
        sections = [
            Bags(self._tower.embed_nuclei(rows), rows.nuclei.row, values)
            for rows, values in zip(train.rows, train.values(genes), strict=True)
        ]
        groups = [joined([sections[i] for i in group]) for group in groups_of(train.patients)]
        varies = most_variable(np.concatenate([group.targets_rG for group in groups]))
        device = self._tower.model.device
        decay, epochs = best_settings([group.with_genes(varies) for group in groups], device=device)
        readout = fit_mlp(joined(groups), decay, epochs, device=device)
        return FittedMlp(tuple(genes), self._tower, readout, self._training_fingerprints)


def most_variable(targets: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Places of the genes, of (r, G), by which the settings of a read-out are chosen."""
    return np.argsort(-targets.std(0), kind="stable")[:_JUDGED_BY]


class _Kept:
    """Features of sections, computed once: pixels alone decide them, whatever is held out."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._features: dict[SectionRows, npt.NDArray[np.float32]] = {}

    def of(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        if rows not in self._features:
            self._features[rows] = self._embedder.embed(rows)
        return self._features[rows]


@dataclass(frozen=True)
class FittedModel:
    """A model file with its own read-out."""

    genes: tuple[str, ...]
    symbols: tuple[str, ...]
    """What the model calls each of them."""
    tower: ModelTower
    training_fingerprints: frozenset[str]

    def predict(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Mean over a row's nuclei of what the model predicts for each, (k, G)."""
        vectors = self.tower.embed_nuclei(rows)
        nuclei = rows.nuclei
        sums = np.zeros((len(rows), len(self.genes)))
        for start in range(0, len(vectors), _NUCLEI_AT_ONCE):
            block = slice(start, start + _NUCLEI_AT_ONCE)
            values = self.tower.model.expression(vectors[block], self.symbols)
            np.add.at(sums, nuclei.row[block], values)
        of_row = np.bincount(nuclei.row, minlength=len(rows))
        return np.asarray(sums / of_row[:, None], np.float32)


class ModelFile:
    """A model as it is, with its own read-out; nothing of it is fitted here.

    Of several files of one model, each fold takes the one that was trained on the fewest images
    other than the fold's training sections (and of those on the most of these): the files of a
    cross-validation, each without the section that it is held against.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        if not models:
            raise PastError("No model was given; name one or give its file.")
        self.name = models[0].name
        self._towers = [ModelTower(model, model.name) for model in models]

    @property
    def towers(self) -> tuple[ModelTower, ...]:
        """One for each file; what they embedded is kept."""
        return tuple(self._towers)

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedModel:
        """The file for this fold, and those of `genes` that it has."""
        tower = file_for(self._towers, train)
        # Not those of a bank: nobody knows whether its cells are of the patients held out.
        symbols = model_symbols(tower.model.card.genes, train.dataset.genes)
        known = tuple(gene for gene in genes if gene in symbols)
        fingerprints = frozenset(tower.model.card.training_fingerprints)
        return FittedModel(known, tuple(symbols[g] for g in known), tower, fingerprints)


class ModelRidge:
    """The frozen towers of model files, each with a read-out fitted on the training rows.

    What the tower alone is worth, and what its own read-out adds to it (HESCAPE, arXiv 2508.01490,
    found contrastive towers that a plain read-out could not use).
    """

    def __init__(self, model: ModelFile) -> None:
        self.name = f"ridge on the frozen tower of {model.name}"
        self._towers = model.towers
        self._ridges = {
            tower: RidgeOn(tower, frozenset(tower.model.card.training_fingerprints))
            for tower in self._towers
        }

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> FittedRidge:
        """A read-out on the file for this fold."""
        return self._ridges[file_for(self._towers, train)].fit(train, genes)


def file_for(towers: Sequence[ModelTower], train: TrainingSet) -> ModelTower:
    """Which of several files of one model a fold takes; see `ModelFile`."""
    inside = {part.record.fingerprint for part in train.rows}

    def outside_then_inside(tower: ModelTower) -> tuple[int, int]:
        seen = set(tower.model.card.training_fingerprints)
        return len(seen - inside), -len(seen & inside)

    return min(towers, key=outside_then_inside)

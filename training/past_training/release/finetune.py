"""A model fitted to a lab's own tissue: measured before and after, then written as a new model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from napari_past.errors import PastError
from napari_past.model import Model
from napari_past.model.traces import TrainingTraces
from napari_past.validation.model_predictor import model_symbols
from past_training.dataset.blocks import leave_block_out
from past_training.dataset.read import PairedDataset
from past_training.dataset.splits import Fold, leave_out
from past_training.engine.adapt import merged, with_lora
from past_training.engine.towers import dense_state, dense_tower
from past_training.evaluation.about_model import model_facts
from past_training.evaluation.baselines import baselines
from past_training.evaluation.gene_choice import chosen_genes
from past_training.evaluation.output_files import report_files
from past_training.evaluation.predictors import (
    FittedMean,
    FittedModel,
    ModelFile,
    ModelRidge,
    Predictor,
    TrainingMean,
)
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.report import write_report
from past_training.evaluation.result import Evaluation, Filled
from past_training.evaluation.rows import SectionRows, TrainingSet, all_rows
from past_training.evaluation.towers import check_fits
from past_training.objectives.config import ObjectiveConfig
from past_training.release.evidence import evidence_of
from past_training.release.fit_tower import FitConfig, fit_tower
from past_training.release.learned import Learner, ReadoutKind, State
from past_training.release.out import check_out
from past_training.release.statements import Statements
from past_training.release.writing import write_model

How = Literal["lora", "head"]

OBJECTIVE = ObjectiveConfig(expression=1.0, expression_loss="log1p-mse", anchor=1.0)
"""Near to the tower as it was: a lab's tissue is little, and forgets much."""
BASELINES = ("mean", "colour")


@dataclass(frozen=True)
class FinetuneConfig:
    """How a model is fitted to new tissue."""

    fit: FitConfig
    how: How = "lora"
    """``lora``: low-rank additions to the tower and a new read-out; ``head``: that alone."""
    readout: ReadoutKind = "ridge"
    rank: int = 8
    blocks: int = 4
    """Of a single section, held out in turn."""


def finetune(
    model: Model,
    dataset: PairedDataset,
    out: Path,
    statements: Statements,
    config: FinetuneConfig,
    *,
    on_step: Callable[[str], None] = lambda text: None,
) -> tuple[Model, Evaluation]:
    """Measure before and after on held-out tissue, fit to all of it, write model, page and report.

    Returns what was made, as it loads, and what was found on the held-out tissue.

    Held out are patients, or sections of one patient, or blocks of one section with a buffer as
    wide as what the model sees.

    Parameters
    ----------
    model
        What it starts from; a dense one.
    dataset
        At the model's µm/px, with patches as wide as the model sees around the nuclei.
    out
        The model file; the report goes beside it, as ``.md`` and ``.html``.

    Raises
    ------
    PastError
        The dataset does not fit the model, or is too small to hold anything out of it.
    """
    check_out(out)
    report = out.with_suffix(".md")
    report_files(report)
    encoder = model.card.encoder
    if encoder.mode != "dense" and config.how == "lora":
        raise PastError(
            f"{model.name} reads a crop for each cell, and only dense towers can be trained here; "
            f"use --how head."
        )
    everything = all_rows(dataset)
    before = ModelFile([model])
    check_fits([model], everything.rows)
    learner = Learner(
        f"{statements.name} ({_words(config)})",
        encoder,
        statements,
        partial(_adapted, model, config, out.parent),
        TrainingTraces.of(model.card),
        model.device,
        config.readout,
        before.towers[0] if config.how == "head" else None,
    )
    genes = chosen_genes(everything).genes
    others, _ = baselines(BASELINES, model.card, device=model.device)
    known = frozenset(model_symbols(model.card.genes, dataset.genes))
    as_it_was = AsItWas(before, knows_all=known.issuperset(genes))
    predictors: list[Predictor] = [learner, as_it_was, *others]
    if config.how == "head" and config.readout == "mlp":
        # Whether the hidden layer is worth what it costs.
        predictors.append(ModelRidge(before))
    folds = _folds(dataset, model, config)
    found = evaluate(dataset, predictors, folds, also=genes, on_step=on_step)
    on_step(f"final model on all of {dataset.name}")
    learned = learner.learn(everything, genes)
    measured = evidence_of(found, learner.name, genes)
    # Low-rank additions move the tower's output, and its projection would no longer hold.
    beside = model if config.how == "head" else None
    made = write_model(out, learned, everything, statements, measured, model.device, beside)
    filled = None if as_it_was.knows_all else Filled(model.name, as_it_was.name, known)
    found = replace(found, model=model_facts([made]), filled=filled)
    write_report(found, report)
    return made, found


def _words(config: FinetuneConfig) -> str:
    additions = "low-rank additions and " if config.how == "lora" else ""
    layer = " with a hidden layer" if config.readout == "mlp" else ""
    return f"after: {additions}a new read-out{layer}"


@dataclass(frozen=True)
class AsWasFitted:
    """A model with its own read-out, and the training mean of the genes that it does not know."""

    genes: tuple[str, ...]
    known: FittedModel
    mean: FittedMean

    @property
    def training_fingerprints(self) -> frozenset[str]:
        return self.known.training_fingerprints

    def predict(self, rows: SectionRows) -> npt.NDArray[np.float32]:
        """Predictions (k, G)."""
        values = self.mean.predict(rows)
        if self.known.genes:
            place = {gene: i for i, gene in enumerate(self.genes)}
            values[:, [place[gene] for gene in self.known.genes]] = self.known.predict(rows)
        return values


class AsItWas:
    """The model before; what it does not know is told as the training mean, whose r is 0.

    Parameters
    ----------
    knows_all
        Whether there is no such gene.
    """

    def __init__(self, model: ModelFile, *, knows_all: bool) -> None:
        self.name = f"before: {model.name}" + ("" if knows_all else ", else the training mean")
        self.knows_all = knows_all
        self._model = model

    def fit(self, train: TrainingSet, genes: Sequence[str]) -> AsWasFitted:
        """Nothing is fitted but the means."""
        known, mean = self._model.fit(train, genes), TrainingMean().fit(train, genes)
        return AsWasFitted(tuple(genes), known, mean)


def _folds(dataset: PairedDataset, model: Model, config: FinetuneConfig) -> Iterator[Fold]:
    if len(dataset.sections) > 1:
        return leave_out(dataset)
    return leave_block_out(dataset, model.card.encoder.field_um, config.blocks)


def _adapted(
    model: Model,
    config: FinetuneConfig,
    scratch: Path,
    dataset: PairedDataset,
    genes: Sequence[str],
) -> State:
    """The model's tower, with what was learned added to its weights."""
    state = model.tower_state
    if config.how == "head":
        return state
    torch.manual_seed(config.fit.seed)
    tower = dense_tower(model.card.encoder)
    tower.body.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    tower.body = with_lora(tower.body, config.rank)
    fit_tower(
        tower, dataset, genes[: config.fit.genes], OBJECTIVE, config.fit, model.device, scratch
    )
    tower.body = merged(tower.body)
    return dense_state(tower)

"""From a recipe and data to a model file with its evidence and its report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_past.errors import PastError
from napari_past.model import Card
from napari_past.spatial import read_sections
from napari_past.validation.compartments import MARKER_SETS
from past_training.dataset.destination import SUFFIX
from past_training.dataset.prepare import prepare
from past_training.dataset.progress import ProgressLine
from past_training.dataset.read import PairedDataset, open_dataset
from past_training.dataset.schema import INFO, PrepareConfig
from past_training.dataset.splits import leave_out
from past_training.engine.random_state import seed_everything
from past_training.engine.towers import dense_state, dense_tower
from past_training.evaluation.about_model import mean_expression, model_facts
from past_training.evaluation.baselines import baselines
from past_training.evaluation.gene_choice import chosen_genes
from past_training.evaluation.marker_sets import AnnotatedTile, marker_check
from past_training.evaluation.output_files import report_files
from past_training.evaluation.protocol import evaluate
from past_training.evaluation.report import write_report
from past_training.evaluation.rows import all_rows
from past_training.release.evidence import evidence_of
from past_training.release.fit_tower import fit_tower
from past_training.release.learned import Learner, State
from past_training.release.making import UNMEASURED, draft_card
from past_training.release.out import check_out
from past_training.release.recipe import Recipe
from past_training.release.writing import write_model

log = logging.getLogger("past_training")

BASELINES = ("mean", "colour", "random")
TYPE_GENES = tuple(gene for genes in MARKER_SETS.values() for gene in genes)
"""Their sense in single cells can be checked without paired data, so a model should have them."""


def pretrain(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    evidence: bool = True,
    tiles: Sequence[AnnotatedTile] = (),
    device: str = "auto",
    on_step: Callable[[str], None] = lambda text: None,
) -> Card:
    """Train, measure by leaving out what the data allow, and write the model file and its report.

    Parameters
    ----------
    data
        The folder that holds the recipe's data folder, or the dataset that was prepared of it.
    out
        The model file; the report goes beside it, as ``.md`` and ``.html``.
    evidence
        Whether to train the held-out folds; without them the card says that r was not measured,
        and there is no report.
    tiles
        Annotated nuclei to check the final model's sense of single cells on, for the report.
    on_step
        Told what is being done.
    """
    report = out.with_suffix(".md")
    check_out(out)
    if evidence:
        report_files(report)
    dataset = recipe_dataset(recipe, data, out.parent)
    everything = all_rows(dataset)
    asked = [gene for gene in TYPE_GENES if gene in dataset.genes]
    genes = chosen_genes(everything, asked).genes
    learner = recipe_learner(recipe, device, out.parent)
    found = None
    if evidence:
        like = draft_card(recipe.encoder, genes, recipe.card, everything)
        others, _ = baselines(BASELINES, like, device=device)
        found = evaluate(dataset, [learner, *others], leave_out(dataset), genes, on_step=on_step)
    on_step(f"final model on {len(dataset.sections)} sections")
    learned = learner.learn(everything, genes)
    measured = UNMEASURED if found is None else evidence_of(found, learner.name, genes)
    model = write_model(out, learned, everything, recipe.card, measured, device)
    if found is not None:
        levels = mean_expression(model, everything.rows)
        markers = marker_check(model, tiles, levels) if tiles else None
        write_report(replace(found, model=model_facts([model]), markers=markers), report)
    return model.card


def recipe_dataset(recipe: Recipe, data: Path, scratch: Path) -> PairedDataset:
    """The recipe's sections, prepared into `scratch` unless `data` is a dataset already.

    Raises
    ------
    PastError
        `data` lacks a section, or was prepared with other settings than the recipe's.
    """
    config = recipe.data
    if not (data / INFO).is_file():
        folder = data / config.folder
        if not folder.is_dir():
            raise PastError(
                f"--data {data} holds neither {INFO} nor the recipe's folder {config.folder}; give "
                f"a dataset, or the folder that holds {config.folder}."
            )
        line = ProgressLine()
        try:
            sections = read_sections(config.source, folder, config.reader)
            out = scratch / f"{recipe.card.name}{SUFFIX}"
            prepare(sections, out, config.cut, line, on_warning=line.warn, source=config.source)
        finally:
            line.close()
        data = out
    dataset = open_dataset(data)
    for field in PrepareConfig.model_fields:
        there, wanted = getattr(dataset.info, field), getattr(config.cut, field)
        if there != wanted:
            raise PastError(
                f"{dataset.name} was prepared with {field} {there}, but the recipe wants {wanted}; "
                f"give the folder of the source instead, and it is prepared as it should be."
            )
    return dataset


def recipe_learner(recipe: Recipe, device: str, scratch: Path) -> Learner:
    """What trains a tower from scratch, as the recipe says."""
    fit = partial(_fitted, recipe, device, scratch)
    return Learner(recipe.card.name, recipe.encoder, recipe.card, fit, device=device)


def _fitted(
    recipe: Recipe, device: str, scratch: Path, dataset: PairedDataset, genes: Sequence[str]
) -> State:
    """A tower from scratch; `genes` begin with the best expressed."""
    seed_everything(recipe.fit.seed)
    tower = dense_tower(recipe.encoder)
    trained = genes[: recipe.fit.genes]
    fit_tower(tower, dataset, trained, recipe.objective, recipe.fit, device, scratch)
    return dense_state(tower)

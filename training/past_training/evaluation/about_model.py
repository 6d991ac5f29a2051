"""What a report says of the model that it is about."""

from __future__ import annotations

from collections.abc import Sequence

from napari_past.model import Model
from napari_past.validation.genes import mean_and_deviation
from napari_past.validation.model_predictor import model_symbols
from past_training.evaluation.result import ModelFacts
from past_training.evaluation.rows import SectionRows


def model_facts(models: Sequence[Model]) -> ModelFacts:
    """Facts of a model, which may be in several files."""
    card = models[0].card
    return ModelFacts(
        card.name,
        card.version,
        tuple(model.sha256 for model in models),
        card.licence,
        card.attribution,
        card.training_data,
        card.expression_unit,
    )


def mean_expression(model: Model, sections: Sequence[SectionRows]) -> dict[str, float]:
    """Mean measured log1p(counts per 10k) of each gene of the model that was measured."""
    mean, _ = mean_and_deviation([rows.sparse for rows in sections])
    genes = sections[0].genes
    place = {gene: i for i, gene in enumerate(genes)}
    symbols = model_symbols(model.card.genes, genes)
    return {symbol: float(mean[place[gene]]) for gene, symbol in symbols.items()}

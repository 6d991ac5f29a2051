"""The classes that a classifier gives to cells, and how a table tells them."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from napari_past.engine.measured import Assay, MeasuredStain
from napari_past.errors import ModelError
from napari_past.model.classifier import CellClassifier, ClassifiedCells
from napari_past.types import FloatArray

CELL_CLASS, CLASS_PROBABILITY, CLASSIFIER = "cell_class", "cell_class_probability", "classifier"
"""Columns of ``obs``, and the part of ``uns["napari_past"]`` that holds the classifier's card."""


def require_assay(classifier: CellClassifier, assay: Assay) -> None:
    """Refuse a classifier whose vectors an analysis does not give.

    Raises
    ------
    ModelError
    """
    if isinstance(assay, MeasuredStain):
        raise ModelError(
            f"The classifier {classifier.card.name} takes vectors of {classifier.card.model}, but "
            f"here the stain is measured; analyse an H&E slide with {classifier.card.model}."
        )
    classifier.require_model(assay.name, assay.known_sha256)


def class_note(classifier: CellClassifier) -> str:
    """For who reads a table: which classes it has, and what is known of who told them."""
    card = classifier.card
    return f"Classes of {card.name}: {', '.join(card.classes)}. {card.sentence}"


def classes_of(classifier: CellClassifier, assay: Assay, vectors: FloatArray) -> ClassifiedCells:
    """The classes of cells with these vectors (n, d) of an analysis.

    Raises
    ------
    ModelError
        They are of another model.
    """
    require_assay(classifier, assay)
    return classifier.classified(vectors)


def add_class_columns(adata: AnnData, classified: ClassifiedCells) -> None:
    """Put each cell's class and its probability into ``obs``, in place of earlier ones."""
    adata.obs[CELL_CLASS] = pd.Categorical.from_codes(
        classified.code, pd.Index(classified.names, dtype=object)
    )
    adata.obs[CLASS_PROBABILITY] = classified.probability

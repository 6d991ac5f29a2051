"""Classes of cells by a few labels: a linear probe on stored vectors, with a card.

`fit_classifier` takes well under a second; `CellClassifier.classified` gives every cell a class,
its probability and its margin; `suggest` says which cells are worth labelling next;
`held_out_evidence` what the labels themselves can tell of it; `write_classifier` keeps it.
"""

from napari_past.model.classifier.card import (
    NOT_VALIDATED,
    UNCHECKED,
    ClassifierCard,
    HeldOut,
    LabelledBy,
    LabelledSlide,
)
from napari_past.model.classifier.classifier import (
    About,
    CellClassifier,
    ClassifiedCells,
    fit_classifier,
)
from napari_past.model.classifier.files import SUFFIX, read_classifier, write_classifier
from napari_past.model.classifier.held_out import class_f1, held_out_evidence
from napari_past.model.classifier.probe import act_weights
from napari_past.model.classifier.suggest import suggest

__all__ = [
    "NOT_VALIDATED",
    "SUFFIX",
    "UNCHECKED",
    "About",
    "CellClassifier",
    "ClassifiedCells",
    "ClassifierCard",
    "HeldOut",
    "LabelledBy",
    "LabelledSlide",
    "act_weights",
    "class_f1",
    "fit_classifier",
    "held_out_evidence",
    "read_classifier",
    "suggest",
    "write_classifier",
]

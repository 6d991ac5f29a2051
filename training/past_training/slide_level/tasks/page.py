"""The page of an evaluation of bulk expression or of classes."""

from __future__ import annotations

import math

import numpy as np

from napari_past.report.document import Document, Sentence, Warnings
from napari_past.report.page import Table
from past_training.slide_level.fitting.prepared_target import Learned
from past_training.slide_level.fitting.targets import BulkTarget
from past_training.slide_level.tasks.bulk import BulkResult
from past_training.slide_level.tasks.classes import ClassResult
from past_training.slide_level.tasks.held_out import RESAMPLES, Estimate, Split

_SHOWN = 30
_MISSING = "–"
_INTERVAL = (
    f"Figures are of single folds, averaged. Intervals: 2.5 to 97.5 % of {RESAMPLES} draws of "
    "patients within each fold, with fitted models as they are; they say nothing of what other "
    "training patients would have changed."
)
_FITS = (
    "All that is estimated (standardisation, clusters, penalties, networks) comes from the "
    "patients that are not held out; all slides of a patient stay together; the number of epochs "
    "is fixed beforehand."
)


def bulk_document(name: str, learned: Learned, result: BulkResult) -> Document:
    """Of `BulkResult`."""
    rows = tuple(
        (arm, _text(r), _MISSING if k == 0 else _text(gain, "+"), _number(share.value))
        for k, (arm, r, gain, share) in enumerate(
            zip(result.arms, result.r, result.r_gain, result.explained_share, strict=True)
        )
    )
    training_mean = ("training mean", _number(0.0), _MISSING, _number(0.0))
    columns = ("arm", "mean r", f"gain over {result.arms[0]}", "explained share")
    notes = (
        f"r: Pearson's, of each gene over the patients of a fold, mean over "
        f"{len(result.genes)} genes; a constant prediction counts as 0, as that of the training "
        "mean does. Explained share: 1 − squared error / squared error of the training mean.",
        _INTERVAL,
    )
    target = learned.target
    assert isinstance(target, BulkTarget)
    # By what was measured alone: the best-predicted genes would flatter.
    variable = np.argsort(-np.nan_to_num(np.nanvar(target.values, 0)))[:_SHOWN]
    genes = tuple(
        (result.genes[i], *(_number(float(r[i])) for r in result.gene_r)) for i in variable
    )
    parts = (
        *_head(learned, result.splits),
        Table("Bulk expression", columns, (*rows, training_mean), 1, notes),
        Table(f"r of the {len(genes)} most variable genes", ("gene", *result.arms), genes, 1),
    )
    return Document(f"Bulk expression: {name}", parts)


def class_document(name: str, learned: Learned, results: tuple[ClassResult, ...]) -> Document:
    """Of all tasks."""
    rows = []
    for one in results:
        counts = zip(one.classes, one.counts, strict=True)
        told = f"{one.task} ({', '.join(f'{count} {label}' for label, count in counts)})"
        for k, arm in enumerate(one.arms):
            gains = (_MISSING, _MISSING)
            if k:
                gains = (_text(one.auc_gain[k], "+"), _text(one.balanced_gain[k], "+"))
            rows.append((told, arm, _text(one.auc[k]), gains[0], _text(one.balanced[k]), gains[1]))
    columns = ("task", "arm", "AUC", "gain", "balanced accuracy", "gain")
    notes = (
        "AUC: of each class against the others, mean over classes; 0.5 is chance. Balanced "
        "accuracy: mean over classes of the share found; chance is one by the number of classes. "
        "Gains are over logistic regression on mean vectors, in the same folds.",
        _INTERVAL,
    )
    table = Table("Classes", columns, tuple(rows), 2, notes)
    return Document(f"Classes: {name}", (*_head(learned, results[0].splits), table))


def _head(learned: Learned, splits: tuple[Split, ...]) -> tuple[Sentence | Warnings, ...]:
    slides = len(learned.prepared.slides)
    told = Sentence(
        f"{len(learned.patients)} patients with {slides} slides; vectors of "
        f"{learned.prepared.model.name}; held out in turn: {len(splits)} folds "
        f"({splits[0].name} to {splits[-1].name}). {_FITS}"
    )
    notes = (*learned.notes, *learned.prepared.notes, *learned.prepared.cohort.notes)
    return (told, Warnings(notes)) if notes else (told,)


def _text(estimate: Estimate, plus: str = "") -> str:
    value = _number(estimate.value, plus)
    if not math.isfinite(estimate.low):
        return value
    return f"{value} ({_number(estimate.low, plus)} to {_number(estimate.high, plus)})"


def _number(value: float, plus: str = "") -> str:
    if not math.isfinite(value):
        return "not defined"
    text = f"{round(value, 3) + 0.0:.3f}".replace("-", "−")
    return f"{plus}{text}" if value >= 0 else text

"""The page of an evaluation of bulk expression, of classes, or of an alignment."""

from __future__ import annotations

import math

import numpy as np

from napari_past.report.document import Document, Sentence, Warnings
from napari_past.report.page import Table
from past_training.slide_level.fitting.prepared_target import Learned
from past_training.slide_level.fitting.targets import BulkTarget
from past_training.slide_level.tasks.alignment import RECALLS, Retrieval
from past_training.slide_level.tasks.bulk import BulkResult
from past_training.slide_level.tasks.classes import ClassResult
from past_training.slide_level.tasks.held_out import RESAMPLES, Estimate, Split

_SHOWN = 30
_MISSING = "–"
_MODALITIES = {"rna": "RNA", "text": "reports"}
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


def align_document(
    name: str,
    learned: Learned,
    splits: tuple[Split, ...],
    found: tuple[Retrieval, ...],
    sites_mixed: bool,
) -> Document:
    """Of all searches.

    Parameters
    ----------
    sites_mixed
        Whether patients of several sites stand in one fold.
    """
    rows = []
    for one in found:
        what = _MODALITIES[one.modality]
        search = f"{what} by slides" if one.by_slides else f"slides by {what}"
        among = f"{min(one.sizes)} to {max(one.sizes)}"
        chance = (_number(0.5), _MISSING, *(_number(one.chance(k)) for k in RECALLS))
        rows.append((search, among, "chance", *chance, f"{one.chance_rank:.1f}"))
        for a, arm in enumerate(one.arms):
            figures = (
                _number(one.nearer[a]),
                " to ".join(_number(limit) for limit in one.by_lot[a]),
                *(_number(recall[a]) for recall in one.recall),
                f"{one.median_rank[a]:.1f}",
            )
            rows.append((search, among, arm, *figures))
    columns = (
        "search", "patients", "arm", "nearer than others", "by lot",
        *(f"recall@{k}" for k in RECALLS), "median rank",
    )  # fmt: skip
    notes = (
        "Each patient held out is searched for among the patients of the same fold (their number "
        "is told, the smallest and the largest fold). Nearer than others: share of the other "
        "patients who lie farther away than the right one. Recall@k: share of searches whose right "
        "patient is among the first k; where a fold has no more than k, it is 1 of itself. "
        "Figures are of single folds, averaged.",
        "By lot: between what nearer than others lies 95 times of 100 where nothing is known: "
        "pairs are drawn by lot within each fold, and the variance is doubled because each pair "
        "of patients of two folds counts twice, once with either one as the one that was fitted "
        f"on. A figure inside says no more than chance; of the {len(rows) * 2 // 3} that are shown "
        "one in twenty lies outside by chance.",
    )
    warned = (
        (
            "Patients of several sites are searched for among each other, and stain, scanner or "
            "the way RNA or reports were made may tell sites apart: part of any skill may be that "
            "of knowing the site. --leave-site-out searches within a site.",
        )
        if sites_mixed
        else ()
    )
    table = Table("Alignment", columns, tuple(rows), 3, notes)
    return Document(f"Alignment: {name}", (*_head(learned, splits, warned), table))


def _head(
    learned: Learned, splits: tuple[Split, ...], warned: tuple[str, ...] = ()
) -> tuple[Sentence | Warnings, ...]:
    slides = len(learned.prepared.slides)
    model = learned.prepared.model.name or "a model that the tables do not tell"
    told = Sentence(
        f"{len(learned.patients)} patients with {slides} slides; vectors of "
        f"{model}; held out in turn: {len(splits)} folds "
        f"({splits[0].name} to {splits[-1].name}). {_FITS}"
    )
    notes = (*warned, *learned.notes, *learned.prepared.notes, *learned.prepared.cohort.notes)
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

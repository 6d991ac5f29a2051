"""Classes of patients held out: a network beside logistic regression on mean vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_past.validation.metrics import detection_auc
from past_training.slide_level.cohort.errors import BadCohort
from past_training.slide_level.fitting.fit import fit_network
from past_training.slide_level.fitting.options import FitOptions
from past_training.slide_level.fitting.prepared_target import Learned
from past_training.slide_level.fitting.targets import ClassTarget
from past_training.slide_level.tasks.held_out import Estimate, Split, estimates

_CHOICES = np.logspace(-4, 1, 6)
_INNER = 3
_Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassResult:
    """What each arm says of one task."""

    task: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    """Patients of each class."""
    arms: tuple[str, ...]
    splits: tuple[Split, ...]
    auc: tuple[Estimate, ...]
    auc_gain: tuple[Estimate, ...]
    """(arms,), over the first arm."""
    balanced: tuple[Estimate, ...]
    balanced_gain: tuple[Estimate, ...]


def evaluate_classes(
    learned: Learned,
    mean_vectors: npt.NDArray[np.float32],
    splits_of: Callable[[tuple[str, ...], npt.NDArray[np.intp]], tuple[Split, ...]],
    options: FitOptions,
    on_fold: Callable[[str, int, int], None],
    cancelled: Callable[[], bool] | None,
) -> tuple[ClassResult, ...]:
    """Each task on its own, over the patients whose class is known.

    Parameters
    ----------
    mean_vectors
        (p, d) of the patients that are learned from.
    splits_of
        The folds of some patients, given their classes and their places.
    """
    target = learned.target
    assert isinstance(target, ClassTarget)
    results = []
    for task, labels in target.labels.items():
        known = np.array([i for i, label in enumerate(labels) if label is not None], np.intp)
        given = tuple(str(labels[i]) for i in known)
        made = splits_of(given, known)
        results.append(
            _task(learned, mean_vectors, task, given, known, made, options, on_fold, cancelled)
        )
    return tuple(results)


def _task(
    learned: Learned,
    mean_vectors: npt.NDArray[np.float32],
    task: str,
    labels: tuple[str, ...],
    known: npt.NDArray[np.intp],
    splits: tuple[Split, ...],
    options: FitOptions,
    on_fold: Callable[[str, int, int], None],
    cancelled: Callable[[], bool] | None,
) -> ClassResult:
    classes = tuple(sorted(set(labels)))
    codes = np.array([classes.index(label) for label in labels])
    bags = [learned.bags[i] for i in known]
    vectors = mean_vectors[known]
    arms = ("logistic regression on mean vectors", f"network: {options.pooling}")
    folds: list[list[npt.NDArray[np.floating]]] = [[], []]
    for k, split in enumerate(splits):
        if len(set(codes[split.train])) < len(classes):
            raise BadCohort(
                f"Without {split.name} no patient is left of a class of {task}, so it cannot be "
                f"learned; use random folds, or leave the task out."
            )
        part = ClassTarget({task: tuple(labels[i] for i in split.train)})
        network = fit_network([bags[i] for i in split.train], part, options, cancelled=cancelled)
        folds[0].append(_logistic(vectors, codes, split))
        folds[1].append(network.probabilities([bags[i] for i in split.test])[task])
        on_fold(f"{task}, {arms[1]}", k + 1, len(splits))
    truth = [codes[split.test] for split in splits]
    auc, auc_gain = estimates(macro_auc, truth, folds, options.seed)
    balanced, balanced_gain = estimates(balanced_accuracy, truth, folds, options.seed)
    counts = tuple(int((codes == code).sum()) for code in range(len(classes)))
    return ClassResult(task, classes, counts, arms, splits, auc, auc_gain, balanced, balanced_gain)


def macro_auc(probabilities: npt.NDArray[np.floating], codes: npt.NDArray[np.generic]) -> float:
    """Mean over classes of the AUC of each against the others; NaN where none has both sides."""
    is_class = codes[:, None] == np.arange(probabilities.shape[1])
    auc = detection_auc(probabilities, is_class)
    return float(np.nanmean(auc)) if np.isfinite(auc).any() else np.nan


def balanced_accuracy(
    probabilities: npt.NDArray[np.floating], codes: npt.NDArray[np.generic]
) -> float:
    """Mean over the classes that are there of the share that is found."""
    found = probabilities.argmax(1) == codes
    return float(np.mean([found[codes == code].mean() for code in np.unique(codes)]))


def _logistic(
    vectors: npt.NDArray[np.float32], codes: _Codes, split: Split
) -> npt.NDArray[np.float64]:
    """The penalty is chosen by folds of the training fold."""
    train = codes[split.train]
    inner = min(_INNER, int(np.bincount(train).min()))
    if inner < 2:
        raise BadCohort(
            f"Without {split.name} a class has a single patient, too few to choose a penalty on; "
            f"use more folds, or leave the task out."
        )
    model = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=_CHOICES, cv=inner, class_weight="balanced", scoring="neg_log_loss", max_iter=500,
            l1_ratios=(0.0,), use_legacy_attributes=False,
        ),
    )  # fmt: skip
    model.fit(vectors[split.train], train)
    return np.asarray(model.predict_proba(vectors[split.test]), np.float64)

"""Bulk expression, classes or an alignment, evaluated on patients held out, as a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_past.report.document import write_document
from past_training.slide_level.bags.prepared import Prepared
from past_training.slide_level.fitting.options import FitOptions
from past_training.slide_level.fitting.prepared_target import learned_from
from past_training.slide_level.tasks.alignment import evaluate_alignment
from past_training.slide_level.tasks.bulk import evaluate_bulk
from past_training.slide_level.tasks.classes import evaluate_classes
from past_training.slide_level.tasks.held_out import By, Split, splits
from past_training.slide_level.tasks.page import align_document, bulk_document, class_document


def evaluate_task(
    prepared: Prepared,
    task: Literal["bulk", "classification", "align"],
    out: Path,
    *,
    folds: int = 5,
    by: By = "folds",
    options: FitOptions | None = None,
    seed: int = 0,
    on_fold: Callable[[str, int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Path, ...]:
    """Write the page of a network beside its baseline; returns its files.

    Parameters
    ----------
    by
        ``folds`` at random, each of the ``sites``, or the folds of the table's ``column``.
    options
        Of all fits; `seed` draws the folds.
    on_fold
        Told the arm, and how many folds of how many are done.

    Raises
    ------
    BadCohort
        The cohort has nothing of the task, or too few patients.
    Cancelled, CannotWrite
    """
    options = options or FitOptions()
    tell = on_fold or (lambda name, done, total: None)
    learned = learned_from(prepared, task)
    cohort = prepared.cohort
    place = {patient: i for i, patient in enumerate(cohort.patients)}
    index = np.array([place[patient] for patient in learned.patients])
    mean_vectors = prepared.mean_vectors[index]
    column = cohort.site if by == "sites" else cohort.fold
    groups = None if column is None else [column[i] for i in index]

    def made(labels: tuple[str, ...] | None, known: npt.NDArray[np.intp]) -> tuple[Split, ...]:
        some = None if groups is None else [groups[i] for i in known]
        return splits(len(known), by, folds, seed, some, labels)

    everyone = np.arange(len(learned.bags))
    if task == "bulk":
        drawn = made(None, everyone)
        result = evaluate_bulk(learned, mean_vectors, drawn, options, tell, cancelled)
        document = bulk_document(cohort.name, learned, result)
    elif task == "align":
        drawn = made(None, everyone)
        found = evaluate_alignment(learned, mean_vectors, drawn, options, tell, cancelled)
        shared = cohort.site is not None and by != "sites"
        document = align_document(cohort.name, learned, drawn, found, shared)
    else:
        results = evaluate_classes(learned, mean_vectors, made, options, tell, cancelled)
        document = class_document(cohort.name, learned, results)
    return write_document(document, out)

"""Nothing of a patient held out is learned from, in bulk expression and classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from past_training.slide_level.bags.array_bag import ArrayBag
from past_training.slide_level.fitting import BulkTarget, ClassTarget, FitOptions
from past_training.slide_level.fitting.prepared_target import Learned
from past_training.slide_level.tasks.bulk import evaluate_bulk
from past_training.slide_level.tasks.classes import evaluate_classes
from past_training.slide_level.tasks.held_out import splits

PATIENTS, DIM = 24, 60


def test_of_noise_nothing_is_found_in_patients_held_out() -> None:
    # With more numbers than patients, whoever has seen a patient knows its outcome.
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(PATIENTS, DIM)).astype(np.float32)
    bags = tuple(ArrayBag(str(i), vector[None]) for i, vector in enumerate(vectors))
    options = FitOptions(pooling="mean", epochs=10, width=16, lr=0.03, dropout=0.0)
    target = BulkTarget(rng.normal(size=(PATIENTS, 4)).astype(np.float32), tuple("ABCD"))
    names = tuple(map(str, range(PATIENTS)))
    learned = Learned(None, names, bags, target, ())  # type: ignore[arg-type]
    made = splits(PATIENTS, "folds", 2, 0)
    bulk = evaluate_bulk(learned, vectors, made, options, lambda *_: None, None)
    assert max(abs(r.value) for r in bulk.r) < 0.3
    labels = ClassTarget({"grade": tuple(rng.permutation(["high", "low"] * 12).tolist())})
    (classes,) = evaluate_classes(
        replace(learned, target=labels), vectors, lambda *_: made, options, lambda *_: None, None
    )
    assert max(abs(auc.value - 0.5) for auc in classes.auc) < 0.3

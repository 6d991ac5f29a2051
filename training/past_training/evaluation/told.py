"""What an evaluation found, in sentences: for the report and for the terminal."""

from __future__ import annotations

import math

from past_training.evaluation.predictors import TrainingMean
from past_training.evaluation.result import Evaluation, Standing
from past_training.evaluation.summary import (
    MEAN_R,
    MEASURES,
    Measure,
    known_counts,
    known_measures,
    summary,
    versus,
)

_LEAST_DIFFERENCE = 0.0005
"""Of figures with three digits: less is not seen."""


def same_section_note(evaluation: Evaluation) -> str:
    """What must be told wherever figures of blocks of one section are; else empty."""
    if evaluation.by != "block":
        return ""
    gap_um = math.floor(evaluation.gap_um or 0)
    between = f"with a buffer of {gap_um} µm" if gap_um else "without a buffer"
    return (
        f"Same section: training and test are blocks of the same section, {between} between them. "
        f"This says nothing of another section or patient."
    )


def worse_note(evaluation: Evaluation) -> str:
    """Which predictors are further from what was measured than a constant is; empty for none.

    Their genes may still be ordered better than by chance, which r tells.
    """
    if TrainingMean.name not in evaluation.predictors:
        return ""
    parts = []
    for name in evaluation.predictors:
        worse = [
            text
            for measure, sign in ((MEASURES["rmse"], 1), (MEASURES["row_r"], -1))
            if (text := _worse(evaluation, name, measure, sign))
        ]
        if worse:
            parts.append(f"{name} in {' and '.join(worse)}")
    if not parts:
        return ""
    return f"Worse than the training mean, which never looks at the picture: {'; '.join(parts)}."


def _worse(evaluation: Evaluation, name: str, measure: Measure, sign: int) -> str:
    """By which measure; `sign` is 1 where large values are bad. Empty where it is not worse."""
    own, mean = versus(evaluation, name, TrainingMean.name, measure)
    if name == TrainingMean.name or not sign * (own.mean - mean.mean) >= _LEAST_DIFFERENCE:
        return ""
    return f"{measure.label} ({own.mean:.3f} against {mean.mean:.3f})"


def filled_note(evaluation: Evaluation) -> str:
    """Which genes a predictor does not know and how it gets by; empty where there is none."""
    filled = evaluation.filled
    if filled is None:
        return ""
    genes = {gene for fold in evaluation.folds for gene in fold.genes}
    unknown = len(genes - filled.known)
    return (
        f"{filled.model} does not know {unknown} of the {len(genes)} genes: for these “before” is "
        f"the training mean, whose r is 0, and a difference there says that the genes are new, not "
        f"that the model got better. Of the genes in the table it knows"
        f" {known_counts(evaluation, filled)}."
    )


def known_note(evaluation: Evaluation) -> str:
    """Before and after on the genes that both know; empty where “before” knows all."""
    filled = evaluation.filled
    if filled is None:
        return ""
    mean_r = known_measures(filled)[0]
    after, before = versus(evaluation, evaluation.predictors[0], filled.predictor, mean_r)
    if not after.points or math.isnan(before.mean):
        return "No gene that both know was compared, so nothing says what fitting changed."
    return (
        f"On the genes that both know: mean r {before.mean:.3f} before, {after.mean:.3f} after "
        f"({after.mean - before.mean:+.3f})."
    )


def result_lines(evaluation: Evaluation) -> list[str]:
    """The result for a terminal: each predictor in a line, and what must be told beside it."""
    lines = []
    for name in evaluation.predictors:
        r, rmse = (summary(evaluation, name, m) for m in (MEAN_R, MEASURES["rmse"]))
        told = f"mean r {r.mean:.3f}, RMSE {rmse.mean:.3f} on {len(r.points)} of {r.of}"
        unseen = f"{told} {evaluation.unit}s"
        lines.append(
            f"{name}: {unseen if r.points else f'trained on every {evaluation.unit}: not compared'}"
        )
    notes = (
        _nothing_compared(evaluation), known_note(evaluation), worse_note(evaluation),
        same_section_note(evaluation),
    )  # fmt: skip
    return [*lines, *filter(None, notes)]


def _nothing_compared(evaluation: Evaluation) -> str:
    first = evaluation.predictors[0]
    standings = {section.score(first).standing for section in evaluation.sections}
    if Standing.HELD_OUT in standings:
        return ""
    return f"Nothing could be compared: {first} was trained on all of this tissue before."

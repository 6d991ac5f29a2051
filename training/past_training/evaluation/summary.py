"""From scores of genes and rows to the figures of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_past.validation.intervals import Interval, bootstrap_mean
from past_training.evaluation.result import (
    Evaluation,
    Filled,
    FoldResult,
    HeldSection,
    SectionScore,
    Standing,
)

Value = Callable[[FoldResult, SectionScore], float]


@dataclass(frozen=True)
class Measure:
    """A column of the table."""

    label: str
    value: Value
    """Of one predictor on one section."""
    digits: int = 3


def _over(subset: str, of: Callable[[SectionScore], npt.NDArray[np.float64]], reduce: str) -> Value:
    def value(fold: FoldResult, score: SectionScore) -> float:
        values = of(score)[fold.subsets[subset]]
        values = values[np.isfinite(values)]
        if not len(values):
            return float("nan")
        return float(np.median(values) if reduce == "median" else values.mean())

    return value


def _row_r(fold: FoldResult, score: SectionScore) -> float:
    finite = score.row_r[np.isfinite(score.row_r)]
    return float(finite.mean()) if len(finite) else float("nan")


def _recall(k: int) -> Value:
    return lambda fold, score: score.retrieval.recall.get(k, float("nan"))


MEAN_R = Measure("r", _over("variable", lambda s: s.r, "mean"))
"""Mean Pearson r over the most variable genes: the figure that intervals and points are of."""
MEASURES: Mapping[str, Measure] = {
    "mean_r": MEAN_R,
    "median_r": Measure("median r", _over("variable", lambda s: s.r, "median")),
    "top_r": Measure("r, top", _over("top", lambda s: s.r, "mean")),
    "mean_rho": Measure("ρ", _over("variable", lambda s: s.rho, "mean")),
    "median_rho": Measure("median ρ", _over("variable", lambda s: s.rho, "median")),
    "top_rho": Measure("ρ, top", _over("top", lambda s: s.rho, "mean")),
    "rmse": Measure("RMSE", _over("variable", lambda s: s.rmse, "mean")),
    "auc": Measure("AUC seen", _over("variable", lambda s: s.auc, "mean")),
    "row_r": Measure("r of a row", _row_r),
}
ASKED_R = Measure("r, asked", _over("asked", lambda s: s.r, "mean"))


def known_genes(fold: FoldResult, filled: Filled) -> npt.NDArray[np.int64]:
    """Places among the fold's genes of the variable ones that the predictor knows itself."""
    known = [i for i in fold.subsets["variable"].tolist() if fold.genes[i] in filled.known]
    return np.array(known, np.int64)


def known_counts(evaluation: Evaluation, filled: Filled) -> str:
    """How many these are in each fold: ``"61"`` or ``"58 to 61"``."""
    counts = sorted({len(known_genes(fold, filled)) for fold in evaluation.folds})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def known_measures(filled: Filled) -> tuple[Measure, ...]:
    """Mean r, ρ and RMSE over the genes that the predictor knows itself."""

    def measure(label: str, of: Callable[[SectionScore], npt.NDArray[np.float64]]) -> Measure:
        def value(fold: FoldResult, score: SectionScore) -> float:
            values = of(score)[known_genes(fold, filled)]
            values = values[np.isfinite(values)]
            return float(values.mean()) if len(values) else float("nan")

        return Measure(label, value)

    return (
        measure("r", lambda s: s.r),
        measure("ρ", lambda s: s.rho),
        measure("RMSE", lambda s: s.rmse),
    )


def recall(k: int) -> Measure:
    """Recall@k of the measured profile."""
    return Measure(f"recall@{k}", _recall(k))


@dataclass(frozen=True)
class Summary:
    """One measure of one predictor, over the sections that were held out for it."""

    points: Mapping[str, float]
    """Section → value."""
    mean: float
    """Over patients where patients were held out, else over sections or blocks; NaN without any."""
    interval: Interval | None
    """Over the same; None with fewer than five, and for blocks of one section: they are alike, so
    that however many there are they are no sample of sections or patients."""
    of: int
    """How many sections there are, held out for this predictor or not."""


def summary(evaluation: Evaluation, predictor: str, measure: Measure) -> Summary:
    """A measure over the held-out sections.

    Sections that the predictor was trained on (or, where patients are held out, whose patient it
    was trained on) do not count.
    """
    found = [
        (section, measure.value(fold, section.score(predictor)))
        for fold, section in held_sections(evaluation)
        if section.score(predictor).standing is Standing.HELD_OUT
    ]
    return _summary(evaluation, found)


def versus(
    evaluation: Evaluation, one: str, other: str, measure: Measure
) -> tuple[Summary, Summary]:
    """A measure of two predictors over the sections that are held out for both."""
    both = [
        (fold, section)
        for fold, section in held_sections(evaluation)
        if all(section.score(p).standing is Standing.HELD_OUT for p in (one, other))
    ]
    first, second = (
        _summary(evaluation, [(s, measure.value(fold, s.score(p))) for fold, s in both])
        for p in (one, other)
    )
    return first, second


def advantage(evaluation: Evaluation, other: str, measure: Measure = MEAN_R) -> Summary:
    """By how much the first predictor exceeds another on the sections held out for both."""
    first = evaluation.predictors[0]
    found = [
        (
            section,
            measure.value(fold, section.score(first)) - measure.value(fold, section.score(other)),
        )
        for fold, section in held_sections(evaluation)
        if all(section.score(p).standing is Standing.HELD_OUT for p in (first, other))
    ]
    return _summary(evaluation, found)


def held_sections(evaluation: Evaluation) -> list[tuple[FoldResult, HeldSection]]:
    """Each held-out section with its fold."""
    return [(fold, section) for fold in evaluation.folds for section in fold.held]


def gene_means(evaluation: Evaluation, predictor: str) -> dict[str, list[float]]:
    """Variable gene of any fold → Pearson r on each section held out for the predictor."""
    values: dict[str, list[float]] = {}
    for fold, section in held_sections(evaluation):
        score = section.score(predictor)
        if score.standing is Standing.HELD_OUT:
            for i in fold.subsets["variable"]:
                if np.isfinite(score.r[i]):
                    values.setdefault(fold.genes[i], []).append(float(score.r[i]))
    return values


def _summary(evaluation: Evaluation, found: list[tuple[HeldSection, float]]) -> Summary:
    units: dict[str, list[float]] = {}
    for section, value in found:
        unit = section.patient if evaluation.by == "patient" else section.name
        units.setdefault(unit, []).append(value)
    means = [np.mean(v) for values in units.values() if (v := [x for x in values if x == x])]
    return Summary(
        {section.name: value for section, value in found},
        float(np.mean(means)) if means else float("nan"),
        None if evaluation.by == "block" else bootstrap_mean(units),
        len(evaluation.sections),
    )

"""Tables of the report, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from napari_past.genes import markers
from past_training.evaluation.marker_sets import MarkerCheck
from past_training.evaluation.predictors import TrainingMean
from past_training.evaluation.result import (
    Evaluation,
    Filled,
    FoldResult,
    HeldSection,
    Standing,
)
from past_training.evaluation.retrieval import RECALLED
from past_training.evaluation.summary import (
    ASKED_R,
    MEAN_R,
    MEASURES,
    Summary,
    advantage,
    held_sections,
    known_counts,
    known_measures,
    recall,
    summary,
)

MOST_GENES = 500
"""More genes than this are summed up, not listed."""
_NOTHING = "–"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; what would be taken for markup is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines]


def plain(text: str) -> str:
    """Text that Markdown and HTML show as it is; names come from files."""
    for character, shown in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;")):
        text = text.replace(character, shown)
    for character in "*_`[":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


def number(value: float, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else _NOTHING


def main_table(evaluation: Evaluation) -> list[str]:
    """Every predictor by every measure, over the sections that are held out for it."""
    measures = [*MEASURES.values()]
    if any(len(fold.subsets["asked"]) for fold in evaluation.folds):
        measures.append(ASKED_R)
    rows = []
    for name in evaluation.predictors:
        found = [summary(evaluation, name, measure) for measure in measures]
        cells = [
            _with_interval(found[0]),
            *(number(f.mean, m.digits) for f, m in zip(found[1:], measures[1:], strict=True)),
        ]
        rows.append([name + _seen_before(evaluation, name, found[0]), *cells])
    return table(["", *(measure.label for measure in measures)], rows)


def _with_interval(found: Summary) -> str:
    text = number(found.mean)
    if found.interval is not None:
        text += f" ({number(found.interval.low)} to {number(found.interval.high)})"
    return text


def _seen_before(evaluation: Evaluation, predictor: str, found: Summary) -> str:
    """What to tell beside the name of a predictor that was trained on held-out tissue."""
    standings = [section.score(predictor).standing for section in evaluation.sections]
    seen = [s for s in standings if s is not Standing.HELD_OUT]
    if not seen:
        return ""
    if not found.points:
        return f" ({' / '.join(dict.fromkeys(seen))}: not compared)"
    of = f"{found.of} {evaluation.unit}s"
    return f" ({len(found.points)} of {of}: it was trained on the others)"


def known_table(evaluation: Evaluation, filled: Filled) -> list[str]:
    """The first predictor, the one that is filled in, and the training mean, over the genes of the
    table that the one that is filled in knows; empty where it knows none.
    """
    counts = known_counts(evaluation, filled)
    if counts == "0":
        return []
    measures = known_measures(filled)
    names = [evaluation.predictors[0], filled.predictor, TrainingMean.name]
    rows = []
    for name in dict.fromkeys(name for name in names if name in evaluation.predictors):
        found = [summary(evaluation, name, measure) for measure in measures]
        # Nothing is filled in here.
        shown = f"before: {filled.model}" if name == filled.predictor else name
        rows.append([shown, *(number(one.mean) for one in found)])
    return table([f"{counts} genes", *(measure.label for measure in measures)], rows)


def points_table(evaluation: Evaluation) -> list[str]:
    """Mean r of each predictor on each section: the points."""
    return _by_section(
        evaluation,
        evaluation.predictors,
        lambda fold, section, name: (
            number(MEAN_R.value(fold, section.score(name)))
            if section.score(name).standing is Standing.HELD_OUT
            else str(section.score(name).standing)
        ),
    )


def advantage_table(evaluation: Evaluation) -> list[str]:
    """By how much the first predictor exceeds each other one on each section, where it can be said;
    else empty.
    """
    sections = [section.name for section in evaluation.sections]
    rows = []
    for other in evaluation.predictors[1:]:
        found = advantage(evaluation, other)
        if found.points:
            points = [number(found.points.get(s, float("nan"))) for s in sections]
            rows.append([f"over {other}", *points, _with_interval(found)])
    return table(["", *sections, "mean"], rows) if rows else []


def trained_on_table(evaluation: Evaluation) -> list[str]:
    """Mean r where a predictor was trained on what it is held against; empty where none was."""
    names = [
        name
        for name in evaluation.predictors
        if any(s.score(name).standing is not Standing.HELD_OUT for s in evaluation.sections)
    ]
    if not names:
        return []
    return _by_section(
        evaluation,
        names,
        lambda fold, section, name: (
            f"{number(MEAN_R.value(fold, section.score(name)))} ({section.score(name).standing})"
            if section.score(name).standing is not Standing.HELD_OUT
            else "held out"
        ),
    )


def _by_section(
    evaluation: Evaluation,
    names: Sequence[str],
    cell: Callable[[FoldResult, HeldSection, str], str],
) -> list[str]:
    found = held_sections(evaluation)
    rows = [[name, *(cell(fold, section, name) for fold, section in found)] for name in names]
    return table(["", *(section.name for _, section in found)], rows)


def chance_table(evaluation: Evaluation) -> list[str]:
    """Mean r and the best genes on the test, each beside what shuffled predictions reach."""
    rows = []
    for name in evaluation.predictors:
        found = [
            c
            for s in evaluation.sections
            if (c := s.score(name).chance) and s.score(name).standing is Standing.HELD_OUT
        ]
        if found:
            columns = [
                [c.mean_r for c in found],
                [c.null_r for c in found],
                [c.high_null_r for c in found],
                [c.best_r for c in found],
                [c.best_null_r for c in found],
            ]
            rows.append([name, *(number(float(np.mean(column))) for column in columns)])
    if not rows:
        return []
    best = max(c.best for s in evaluation.sections for p in s.scores if (c := p.chance))
    return table(
        [
            "",
            "mean r",
            "shuffled",
            "95 % of shuffles below",
            f"best {best} genes of the test",
            "the same choice, shuffled",
        ],
        rows,
    )


def retrieval_table(evaluation: Evaluation) -> list[str]:
    """Recall@k of each predictor beside that of a guess."""
    galleries = [s.scores[0].retrieval for s in evaluation.sections]
    chance = [_mean(np.array([g.chance(k) for g in galleries if k in g.recall])) for k in RECALLED]
    rows = [["a guess", *(number(value) for value in chance)]]
    for name in evaluation.predictors:
        found = [summary(evaluation, name, recall(k)).mean for k in RECALLED]
        rows.append([name, *(number(value) for value in found)])
    return table(["", *(f"recall@{k}" for k in RECALLED)], rows)


def genes_table(evaluation: Evaluation) -> list[str]:
    """The first predictor's figures of single genes: those asked for, and of the marker panel."""
    first = evaluation.predictors[0]
    scored = [
        (fold, section)
        for fold, section in held_sections(evaluation)
        if section.score(first).standing is Standing.HELD_OUT
    ]
    rows = []
    for gene in _listed(evaluation):
        found = [
            (score.r[i], score.rho[i], score.rmse[i], score.auc[i])
            for fold, section in scored
            if gene in fold.genes
            for score, i in [(section.score(first), fold.genes.index(gene))]
        ]
        if not found:
            continue
        r, rho, rmse, auc = (np.array(column) for column in zip(*found, strict=True))
        points = ", ".join(number(value, 2) for value in r)
        rows.append([gene, points, *(number(_mean(v), 2) for v in (r, rho, rmse, auc))])
    head = ["gene", f"r on {', '.join(s.name for _, s in scored)}", "r", "ρ", "RMSE", "AUC seen"]
    return table(head, rows) if rows else []


def _listed(evaluation: Evaluation) -> list[str]:
    asked = [fold.genes[i] for fold in evaluation.folds for i in fold.subsets["asked"]]
    asked = list(dict.fromkeys(asked))
    panel = [gene for marker in markers() for gene in marker.genes]
    return list(dict.fromkeys([*(asked if len(asked) <= MOST_GENES else ()), *panel]))


def markers_table(check: MarkerCheck) -> list[str]:
    """AUC of each marker set with what it must be read beside."""
    rows = [
        [
            score.kind,
            ", ".join(score.genes),
            str(score.nuclei),
            number(score.auc, 2),
            number(score.within_tiles, 2),
            number(score.shape_and_colour, 2),
            number(float(np.median(score.random)) if score.random else float("nan"), 2),
            number(score.percentile, 0),
        ]
        for score in check.scores
    ]
    return table(
        [
            "nuclei",
            "mean of predicted",
            "n",
            "AUC against the others",
            "within a tile",
            "shape and colour",
            "random genes, median",
            "percentile among them",
        ],
        rows,
    )


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")

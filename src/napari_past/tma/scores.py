"""Scores of cases that have several cores.

A case is told in three ways, since laboratories differ: its cells pooled as if its cores were one
(a large core then counts more), and the mean and the median of its cores' scores (each core then
counts alike). Beside each stands what it is of.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_past.files import atomic_write
from napari_past.stain import ScoreRow, ScoreTable
from napari_past.stain.rows import number_text
from napari_past.tma.grid import TmaGrid
from napari_past.types import MEASURED_RESEARCH_USE, RESEARCH_USE, Region

COLUMNS = (
    "case", "cores", "cores_scored", "n", "n0", "n1", "n2", "n3", "pct_positive", "h_score", "lo",
    "hi", "pct_positive_mean", "pct_positive_median", "h_score_mean", "h_score_median",
)  # fmt: skip
"""Fixed: other tools read them by place."""
POOLED = "n to hi: all cells of the case's cores pooled"
AVERAGED = "mean and median: of the scores of its cores that have cells with a class"


@dataclass(frozen=True)
class CaseScore:
    """What one case scores."""

    case: str
    cores: tuple[str, ...]
    """Names of those that are there."""
    pooled: ScoreRow
    """Of all cells of its cores."""
    rows: tuple[ScoreRow, ...]
    """Of its cores that have cells with a class."""

    @property
    def pct_positive(self) -> tuple[float, float]:
        """Mean and median over the cores; NaN without one."""
        return _averages([row.pct_positive for row in self.rows])

    @property
    def h_score(self) -> tuple[float, float]:
        """Mean and median over the cores; NaN without one."""
        return _averages([row.h_score for row in self.rows])


def score_cases(
    grid: TmaGrid, table: ScoreTable, score: Callable[[tuple[Region, ...]], ScoreTable]
) -> tuple[CaseScore, ...]:
    """A score for each case of a grid, in the grid's order; none where it has no cases.

    Parameters
    ----------
    table
        Scores of the grid's regions, by core.
    score
        Scores other regions of the same cells the same way; it is asked for those of the cases.
    """
    if not grid.cases:
        return ()
    by_core = {row.region: row for row in table.rows}
    pooled = {row.region: row for row in score(grid.case_regions()).rows}
    found = []
    for case, cores in grid.cases.items():
        rows = [by_core[core.name] for core in cores if core.name in by_core]
        names = tuple(core.name for core in cores)
        found.append(CaseScore(case, names, pooled[case], tuple(r for r in rows if r.n)))
    return tuple(found)


def case_file(scores: Path) -> Path:
    """Where the cases of a file of scores go: beside it, as ``<stem>.cases.csv``."""
    return scores.with_name(f"{scores.stem}.cases.csv")


def write_case_csv(
    cases: Sequence[CaseScore], path: Path, about: Mapping[str, str] | None = None
) -> None:
    """Write a line per case under the header `COLUMNS`; numbers that are missing are empty.

    Beside it goes ``<name>.json`` with what the columns are of.

    Parameters
    ----------
    about
        What is known of the values: marker, model, reliability.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    with atomic_write(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as f:
        lines = csv.writer(f, lineterminator="\n")
        lines.writerow(COLUMNS)
        for case in cases:
            row = case.pooled
            h_score = row.rules.h_score
            score = (row.h_score, row.lo, row.hi) if h_score else (math.nan,) * 3
            averages = case.h_score if h_score else (math.nan, math.nan)
            lines.writerow(
                [
                    case.case,
                    len(case.cores),
                    len(case.rows),
                    *(row.n, row.n0, row.n1, row.n2, row.n3),
                    _text(row.pct_positive, 2),
                    *(_text(value, 1) for value in score),
                    *(_text(value, 2) for value in case.pct_positive),
                    *(_text(value, 1) for value in averages),
                ]
            )
    measured = bool(cases) and cases[0].pooled.rules.measured
    told = {
        "columns": [POOLED, AVERAGED],
        "denominator": cases[0].pooled.denominator if cases else "",
        "cases": [{"case": case.case, "cores": list(case.cores)} for case in cases],
        "research_use": MEASURED_RESEARCH_USE if measured else RESEARCH_USE,
        **(about or {}),
    }
    with atomic_write(path.with_name(f"{path.name}.json")) as unfinished:
        text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8", newline="\n")


def case_lines(cases: Sequence[CaseScore]) -> list[str]:
    """The cases as an aligned table, and what its numbers are of; empty without cases."""
    if not cases:
        return []
    h_score = cases[0].pooled.rules.h_score
    name = cases[0].pooled.rules.h_score_name if h_score else "% positive"
    head = ["case", "cores", "n", "% positive", *([name] if h_score else []), "mean", "median"]
    table = [head]
    for case in cases:
        row = case.pooled
        scores = [row.h_score_text] if h_score else []
        averages = case.h_score if h_score else case.pct_positive
        table.append(
            [
                case.case,
                f"{len(case.rows)}/{len(case.cores)}",
                str(row.n),
                number_text(row.pct_positive, 1),
                *scores,
                *(number_text(value, 0 if h_score else 1) for value in averages),
            ]
        )
    widths = [max(len(line[j]) for line in table) for j in range(len(head))]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0])]
            + [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        )
        for line in table
    ]
    told = (
        f"n and the scores beside it: all cells of a case's cores pooled; mean, median: of {name}"
    )
    return [*lines, f"{told} of its cores with cells, of those that are there."]


def _averages(values: Sequence[float]) -> tuple[float, float]:
    known = [value for value in values if not math.isnan(value)]
    return (statistics.fmean(known), statistics.median(known)) if known else (math.nan, math.nan)


def _text(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"

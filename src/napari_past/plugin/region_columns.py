"""Columns of the table of scores: what they hold, and in which order they put its lines."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from napari_past.stain import ScoreRow, ScoreRules
from napari_past.stain.counted import WHOLE_SLIDE_ROLE
from napari_past.stain.real_stain import real_stain_lines
from napari_past.stain.rows import MISSING, number_text

PENDING = "…"
"""Stands for a number that is being worked out."""
Key = float | tuple[tuple[int, float, str], ...]


@dataclass(frozen=True)
class Column:
    """One column for a marker."""

    header: str
    text: Callable[[ScoreRow], str]
    key: Callable[[ScoreRow], Key]
    """By which lines are sorted; NaN for a line that comes last."""
    tip: str = ""


def columns_of(rules: ScoreRules) -> tuple[Column, ...]:
    """The region and its role, counts, and the scores that a marker has."""
    columns = [
        Column("Region\nrole", lambda r: f"{r.region}\n{r.role}", lambda r: _name_key(r.region)),
        Column("n", lambda r: f"{r.n}", lambda r: r.n, "Cells that have a class."),
        Column(
            "%\npos.",
            lambda r: number_text(r.pct_positive, 1),
            lambda r: r.pct_positive,
            "Cells of class 1+ or higher, of n.",
        ),
        Column(score_header(rules), _score, _score_key, "Interval: of sampling, for this model."),
    ]
    if rules.allred:
        columns.append(
            Column(
                _in_lines(rules.allred_name),
                lambda r: _if_enough(r, r.allred_text),
                lambda r: math.nan if r.allred is None else r.allred.total,
                "Total (proportion + intensity).",
            )
        )
    columns += [
        Column("0", lambda r: f"{r.n0}", lambda r: r.n0, "Negative cells."),
        Column("1+", lambda r: f"{r.n1}", lambda r: r.n1),
        Column("2+", lambda r: f"{r.n2}", lambda r: r.n2),
        Column("3+", lambda r: f"{r.n3}", lambda r: r.n3),
    ]
    if rules.density:
        columns += [
            Column(
                "mm²",
                lambda r: number_text(r.area_mm2, 2),
                lambda r: r.area_mm2,
                "Area without Ignore* regions and what is not scored; of the slide its analysed "
                "tissue.",
            ),
            Column(
                "cells\n/mm²",
                lambda r: MISSING if math.isnan(r.density_mm2) else f"{r.density_mm2:.0f}",
                lambda r: r.density_mm2,
            ),
        ]
    return tuple(columns)


def score_header(rules: ScoreRules) -> str:
    """What the column of the marker's own score holds."""
    if rules.h_score:
        name = "H-score" if rules.measured else "Pseudo-H"
        return f"{name}\n95 % int."
    return "% in\nhot spot" if rules.hot_spot else "% pos.\n95 % int."


def sorted_rows(rows: Sequence[ScoreRow], column: Column, descending: bool) -> list[int]:
    """Numbers of the rows in the order of a column, first line first.

    Rows without a number come after the others, and the whole slide after all, whichever the
    direction. Equal rows stay as they are.
    """
    keys = [column.key(row) for row in rows]
    slide = [i for i, row in enumerate(rows) if row.role == WHOLE_SLIDE_ROLE]
    without = [i for i, key in enumerate(keys) if key != key and i not in slide]
    with_key = [i for i in range(len(rows)) if i not in slide and i not in without]
    with_key.sort(key=lambda i: keys[i], reverse=descending)
    return [*with_key, *without, *slide]


def row_tip(row: ScoreRow, told: Mapping[str, str] | None = None) -> str:
    """All that is known of one region, a line each; `told` is what a spreadsheet tells of it."""
    lines = [f"{row.region}: {row.denominator}", row.insufficient, *real_stain_lines(row)]
    if told:
        lines.insert(1, ", ".join(f"{name} {text}" for name, text in told.items()))
    if row.rules.allred and row.allred is not None:
        lines.append(f"{row.rules.allred_name} {row.allred_text}")
    if row.rules.hot_spot and row.hot_spot is not None:
        lines.append(row.hot_spot.sentence)
    if row.rules.density and not math.isnan(row.density_mm2):
        lines.append(
            f"{row.area_mm2:.2f} mm², {row.density_mm2:,.0f} cells/mm², "
            f"{row.positive_mm2:,.0f} positive/mm²"
        )
        if row.role == WHOLE_SLIDE_ROLE:
            lines.append("area: analysed tissue, without Ignore* regions and what is not scored")
    if row.excluded:
        lines.append(f"excluded by Ignore* regions: {row.excluded:,} cells")
    lines.append(row.explanation)
    return "\n".join(line for line in lines if line)


def _score(row: ScoreRow) -> str:
    rules = row.rules
    if rules.h_score:
        return _if_enough(row, f"{row.h_score_text}\n{_interval(row)}")
    if rules.hot_spot:
        none = PENDING if _pending(row) else MISSING
        spot = row.hot_spot
        return _if_enough(row, none if spot is None else f"{spot.pct_positive:.1f}")
    return _if_enough(row, _interval(row))


def _interval(row: ScoreRow) -> str:
    if _pending(row):
        return PENDING
    if row.rules.h_score or math.isnan(row.pct_lo):
        return row.interval_text
    # No decimals: the column is narrow.
    return f"{row.pct_lo:.0f}–{row.pct_hi:.0f}"


def _if_enough(row: ScoreRow, told: str) -> str:
    return "too few\ncells" if row.insufficient else told


def _pending(row: ScoreRow) -> bool:
    """Whether interval and hot spot of the row are still to come."""
    return row.n > 0 and math.isnan(row.block_um)


def _score_key(row: ScoreRow) -> float:
    if row.insufficient:
        return math.nan
    if row.rules.h_score:
        return row.h_score
    if row.rules.hot_spot:
        return math.nan if row.hot_spot is None else row.hot_spot.pct_positive
    return row.pct_positive


def _name_key(name: str) -> tuple[tuple[int, float, str], ...]:
    """Numbers within names count as numbers: Region 2 comes before Region 10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, float(p), "") if p.isdecimal() else (1, 0.0, p.casefold()) for p in parts)


def _in_lines(name: str) -> str:
    """A name that begins large, in two lines where it has a hyphen: columns are narrow."""
    return (name[0].upper() + name[1:]).replace("-", "-\n")

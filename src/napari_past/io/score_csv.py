"""Scores as CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from napari_past.files import atomic_write
from napari_past.stain import ScoreTable
from napari_past.types import RESEARCH_USE

COLUMNS = (
    "region",
    "role",
    "n",
    "n0",
    "n1",
    "n2",
    "n3",
    "pct_positive",
    "h_score",
    "lo",
    "hi",
)


def write_score_csv(
    table: ScoreTable,
    path_or_stream: str | Path | TextIO,
    about: Mapping[str, str] | None = None,
) -> None:
    """Write one line per region under the header `COLUMNS`; numbers that are missing are empty.

    Scores and their interval have one decimal, percentages two. Beside a file goes ``<name>.json``
    with what the numbers are: the score's name, its denominator, cut-offs and their source, cells
    left out, area that is not scored by kind, the research-use sentence, and `about` (gene, model,
    reliability).

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    if not isinstance(path_or_stream, (str, Path)):
        _write(table, path_or_stream)
        return
    with (
        atomic_write(path_or_stream) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as stream,
    ):
        _write(table, stream)
    told = {
        "score": table.score_name,
        "interval": table.interval_name,
        "denominator": table.denominator,
        "excluded_by_ignore": table.excluded,
        "without_value": table.without_class,
        "unscored": table.unscored,
        "unscored_cells": dict(table.unscored_cells),
        "unscored_area_mm2": {k: round(a, 4) for k, a in table.unscored_area_mm2.items()},
        "cutoffs": list(table.cutoffs.values),
        "cutoffs_source": table.cutoffs.source,
        "research_use": RESEARCH_USE,
        **(about or {}),
    }
    path = Path(path_or_stream)
    with atomic_write(path.with_name(f"{path.name}.json")) as unfinished:
        text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8")


def _write(table: ScoreTable, stream: TextIO) -> None:
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(COLUMNS)
    for row in table.rows:
        counts = (row.n, row.n0, row.n1, row.n2, row.n3)
        scores = (_text(value, 1) for value in (row.h_score, row.lo, row.hi))
        lines.writerow([row.region, row.role, *counts, _text(row.pct_positive, 2), *scores])


def _text(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"

"""Scores as CSV."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TextIO

from napari_past.io.destination import atomic_write
from napari_past.stain import ScoreTable

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


def write_score_csv(table: ScoreTable, path_or_stream: str | Path | TextIO) -> None:
    """Write one line per region under the header `COLUMNS`; numbers that are missing are empty.

    Scores and their interval have one decimal, percentages two.

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


def _write(table: ScoreTable, stream: TextIO) -> None:
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(COLUMNS)
    for row in table.rows:
        counts = (row.n, row.n0, row.n1, row.n2, row.n3)
        scores = (_text(value, 1) for value in (row.h_score, row.lo, row.hi))
        lines.writerow([row.region, row.role, *counts, _text(row.pct_positive, 2), *scores])


def _text(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"

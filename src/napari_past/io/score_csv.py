"""Scores as CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from napari_past.files import atomic_write
from napari_past.stain import ScoreRow, ScoreTable
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
"""Fixed: other tools read them by place."""
FURTHER_COLUMNS = (
    "pct_lo",
    "pct_hi",
    "allred",
    "excluded",
    "without_value",
    "unscored",
    "area_mm2",
    "cells_per_mm2",
    "positive_per_mm2",
    "insufficient",
    "hot_spot_pct",
    "hot_spot_n",
    "hot_spot_mm2",
    "hot_spot_x_um",
    "hot_spot_y_um",
)
"""Follow the fixed ones where they are asked for."""
Value = str | int | float | None


def write_score_csv(
    table: ScoreTable,
    path_or_stream: str | Path | TextIO,
    about: Mapping[str, str] | None = None,
    *,
    every_column: bool = False,
    columns: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write one line per region under the header `COLUMNS`; numbers that are missing are empty.

    Scores and their interval have one decimal, percentages two. Where the marker customarily has
    no H-score, the last three columns are empty. Beside a file goes ``<name>.json`` with what the
    numbers are: the score's name, its denominator, cut-offs and their source, cells left out, area
    that is not scored by kind, the research-use sentence, `about` (gene, model, reliability), and
    all that is known of each region: area, densities, excluded cells, Allred score, hot spot.

    Parameters
    ----------
    about
        More to say in the ``.json``.
    every_column
        Write what the ``.json`` knows of each region as columns too, after the fixed ones.
    columns
        Further columns by region and name, as the case of a core; written last, in the order in
        which names first come, empty where a region has none; the ``.json`` has them, too.

    Raises
    ------
    CannotWrite
        The folder is missing or read-only, or the disk is full.
    """
    if not isinstance(path_or_stream, (str, Path)):
        _write(table, path_or_stream, every_column, columns or {})
        return
    with (
        atomic_write(path_or_stream) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as stream,
    ):
        _write(table, stream, every_column, columns or {})
    rules = table.rules
    told = {
        "score": table.score_name,
        "scores": list(rules.scores),
        "on_real_stain_only": list(rules.real_stain_only),
        "interval": table.interval_name,
        "denominator": table.denominator,
        "excluded_by_ignore": table.excluded,
        "without_value": table.without_class,
        "unscored": table.unscored,
        "unscored_cells": dict(table.unscored_cells),
        "unscored_area_mm2": {k: round(a, 4) for k, a in table.unscored_area_mm2.items()},
        "cutoffs": list(table.cutoffs.values),
        "cutoffs_source": table.cutoffs.source,
        "regions": [
            {
                "region": row.region,
                "role": row.role,
                "n": row.n,
                **_further(row),
                **(columns or {}).get(row.region, {}),
            }
            for row in table.rows
        ],
        "research_use": RESEARCH_USE,
        **(about or {}),
    }
    path = Path(path_or_stream)
    with atomic_write(path.with_name(f"{path.name}.json")) as unfinished:
        text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
        unfinished.write_text(text + "\n", encoding="utf-8")


def _write(
    table: ScoreTable,
    stream: TextIO,
    every_column: bool,
    columns: Mapping[str, Mapping[str, str]],
) -> None:
    lines = csv.writer(stream, lineterminator="\n")
    names = list(dict.fromkeys(n for row in table.rows for n in columns.get(row.region, {})))
    lines.writerow([*COLUMNS, *(FURTHER_COLUMNS if every_column else ()), *names])
    for row in table.rows:
        counts = (row.n, row.n0, row.n1, row.n2, row.n3)
        told = (row.h_score, row.lo, row.hi) if table.rules.h_score else (math.nan,) * 3
        fixed = [row.region, row.role, *counts, _text(row.pct_positive, 2)]
        fixed += [_text(value, 1) for value in told]
        further = ["" if v is None else v for v in _further(row).values()] if every_column else []
        own = columns.get(row.region, {})
        lines.writerow([*fixed, *further, *(own.get(name, "") for name in names)])


def _further(row: ScoreRow) -> dict[str, Value]:
    """What else is known of a region, by `FURTHER_COLUMNS`; None where it is not."""
    allred, spot = row.allred, row.hot_spot
    return {
        "pct_lo": _number(row.pct_lo, 2),
        "pct_hi": _number(row.pct_hi, 2),
        "allred": allred.total if allred is not None and row.rules.allred else None,
        "excluded": row.excluded,
        "without_value": row.without_class,
        "unscored": row.unscored,
        "area_mm2": _number(row.area_mm2, 4),
        "cells_per_mm2": _number(row.density_mm2, 1),
        "positive_per_mm2": _number(row.positive_mm2, 1),
        "insufficient": row.insufficient or None,
        "hot_spot_pct": None if spot is None else round(spot.pct_positive, 2),
        "hot_spot_n": None if spot is None else spot.n,
        "hot_spot_mm2": None if spot is None else spot.area_mm2,
        "hot_spot_x_um": None if spot is None else round(spot.center_um[0], 1),
        "hot_spot_y_um": None if spot is None else round(spot.center_um[1], 1),
    }


def _number(value: float, decimals: int) -> float | None:
    return None if math.isnan(value) else round(value, decimals)


def _text(value: float, decimals: int) -> str:
    return "" if math.isnan(value) else f"{value:.{decimals}f}"

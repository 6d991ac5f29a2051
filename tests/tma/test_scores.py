"""Scores of cases, by hand: two cores of unlike size, and one without cells."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from napari_past.stain import ScoreTable, score_table
from napari_past.tma import (
    TmaCore,
    TmaGrid,
    case_file,
    case_lines,
    core_name,
    score_cases,
    write_case_csv,
)
from napari_past.types import Cutoffs, Region

CUTOFFS = Cutoffs(1, 2, 3, "given")
CASES = {"A-1": "P1", "A-2": "P1", "A-3": "P1", "B-1": "P2"}
GRID = TmaGrid(
    tuple(
        TmaCore(core_name(r, c), r, c, (1000.0 * c, 1000.0 * r), 600.0,
                case=CASES.get(core_name(r, c), ""))
        for r in range(2)
        for c in range(3)
    )
)  # fmt: skip
# 0, 1, 2, 3 → H 150; A-2: twice 3 → H 300; A-3: none; B-1: 0 → H 0; one cell on glass
VALUES = np.array([0, 1, 2, 3, 3, 3, 0, 3], float)
CENTERS = np.array([[0, 0], [10, 0], [0, 10], [10, 10], [1000, 0], [1010, 0], [0, 1000],
                    [500, 500]], float)  # fmt: skip


def scored(regions: Sequence[Region]) -> ScoreTable:
    return score_table(VALUES, CENTERS, CUTOFFS, regions)


@pytest.fixture
def cases() -> tuple:
    return score_cases(GRID, scored(GRID.regions()), scored)


def test_cells_are_pooled_and_cores_averaged(cases: tuple) -> None:
    one, two = cases
    assert (one.case, one.cores, len(one.rows)) == ("P1", ("A-1", "A-2", "A-3"), 2)
    assert one.pooled.n == 6
    assert one.pooled.h_score == pytest.approx(200)
    assert one.h_score == pytest.approx((225, 225))
    assert one.pct_positive == pytest.approx((87.5, 87.5))
    assert one.pooled.pct_positive == pytest.approx(100 * 5 / 6)
    assert (two.pooled.h_score, two.h_score) == (0, (0, 0))


def test_file_says_what_its_columns_are(cases: tuple, tmp_path: Path) -> None:
    target = case_file(tmp_path / "scores.csv")
    assert target.name == "scores.cases.csv"
    write_case_csv(cases, target, {"marker": "X"})
    with target.open(encoding="utf-8") as f:
        first, second = csv.DictReader(f)
    assert (first["case"], first["cores"], first["cores_scored"]) == ("P1", "3", "2")
    assert (first["n"], first["n3"], first["h_score"]) == ("6", "3", "200.0")
    assert (first["h_score_mean"], first["pct_positive_median"]) == ("225.0", "87.50")
    assert second["h_score_median"] == "0.0"
    told = json.loads(target.with_name("scores.cases.csv.json").read_text(encoding="utf-8"))
    assert told["marker"] == "X"
    assert told["denominator"] == "all nuclei, not tumour-only"
    assert told["cases"][0] == {"case": "P1", "cores": ["A-1", "A-2", "A-3"]}


def test_lines_tell_the_denominators(cases: tuple) -> None:
    lines = case_lines(cases)
    assert lines[1].split() == ["P1", "2/3", "6", "83.3", "200", "225", "225"]
    assert "pooled" in lines[-1]
    assert case_lines(()) == []


def test_case_without_cells_has_no_score() -> None:
    table = scored(GRID.regions())
    grid = GRID.changed("A-3", case="P9")
    last = next(c for c in score_cases(grid, table, scored) if c.case == "P9")
    assert last.pooled.n == 0
    assert np.isnan(last.h_score).all()
    assert case_lines((last,))[1].split() == ["P9", "0/1", "0", "–", "–", "–", "–"]

"""The table of regions: each marker with the score that it is reported by."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.plugin.region_columns import columns_of, sorted_rows
from napari_past.plugin.region_table import RegionTable
from napari_past.stain import (
    PLAIN_GENE,
    ScoreRules,
    count_cells,
    score_counted,
    score_table,
)
from napari_past.types import TUMOUR, Cutoffs, Region

SCORE = 3
"""Column of the marker's own score."""
CUTOFFS = Cutoffs(1.0, 2.0, 3.0, "by hand")
KI67 = ScoreRules(("percent", "hot-spot"), 500, "tumour nuclei", marker="Ki-67")
ER = ScoreRules(("percent", "allred", "pseudo-h-score", "density"), marker="ER")


@pytest.fixture
def shown(qtbot):
    """``shown(rules, n)``: the last column's head, text and tip of `n` cells, half of them 2+."""

    def show(rules, n):
        rng = np.random.default_rng(0)
        centers_um = rng.uniform(0, 1000, (n, 2))
        region = Region("T1", TUMOUR, shapely.box(0, 0, 1000, 1000))
        values = np.where(np.arange(n) % 2, 2.5, 0.0)
        table = RegionTable()
        qtbot.addWidget(table)
        table.set_table(score_table(values, centers_um, CUTOFFS, [region], rules=rules))
        item = table.item(0, SCORE)
        return table.horizontalHeaderItem(SCORE).text(), item.text(), item.toolTip()

    return show


def test_a_gene_has_a_pseudo_h_score_and_its_interval(shown):
    head, text, tip = shown(PLAIN_GENE, 1000)
    assert head.startswith("Pseudo-H")
    score, interval = text.split("\n")
    assert score == "100"
    low, high = map(int, interval.split("–"))
    assert 80 < low < 100 < high < 120
    assert "1.00 mm², 1,000 cells/mm², 500 positive/mm²" in tip
    assert "Allred" not in tip


def test_er_has_its_allred_score_too(shown):
    # Half positive: proportion 4; all of them 2+: intensity 2.
    assert "pseudo-Allred 6" in shown(ER, 1000)[2]


def test_ki67_has_its_hot_spot_and_no_h_score(shown):
    head, text, tip = shown(KI67, 4000)
    assert "hot spot" in head
    assert 50 < float(text) < 65
    assert "0.25 mm²" in tip
    assert "H-score" not in head + text + tip


def test_too_few_cells_are_told(shown):
    _, text, tip = shown(KI67, 300)
    assert text == "too few\ncells"
    assert "insufficient: 300 of 500 tumour nuclei" in tip


def heads(table: RegionTable) -> list[str]:
    return [table.horizontalHeaderItem(j).text() for j in range(table.columnCount())]


def names(table: RegionTable) -> list[str]:
    return [table.item(i, 0).text().split("\n")[0] for i in range(table.rowCount())]


def scored(regions, values, quick=False, rules=PLAIN_GENE):
    """Cells 10 µm apart on a line, in regions that are (name, first µm, last µm), and the slide."""
    centers = np.stack([10.0 * np.arange(len(values)), np.full(len(values), 5.0)], axis=1)
    boxes = [Region(name, TUMOUR, shapely.box(x0, 0, x1, 10)) for name, x0, x1 in regions]
    counted = count_cells(centers, boxes, also_slide=True, slide_area_mm2=0.5)
    return score_counted(counted, np.asarray(values, float), CUTOFFS, rules, quick=quick)


PARTS = [("Region 10", -5, 35), ("Region 2", 35, 55), ("none", 900, 950), ("Region 2", 55, 95)]
VALUES = [0, 0, 0, 3.5, 2.5, 2.5, 0, 0, 1.5, 1.5]


@pytest.fixture
def sorting(qtbot):
    table = RegionTable()
    qtbot.addWidget(table)
    table.resize(349, 200)
    table.set_table(scored(PARTS, VALUES))
    return table


def click_head(table: RegionTable, head: str) -> None:
    table.horizontalHeader().sectionClicked.emit(heads(table).index(head))


def test_rows_are_sorted_as_numbers_and_the_slide_stays_last(sorting):
    drawn = ["Region 10", "Region 2", "none", "Region 2", "slide"]
    assert names(sorting) == drawn
    click_head(sorting, "%\npos.")
    # 25, 100, none, 50 %: what has no number comes last in both directions
    assert names(sorting) == ["Region 10", "Region 2", "Region 2", "none", "slide"]
    assert [sorting.item(i, 2).text() for i in range(5)] == ["25.0", "50.0", "100.0", "–", "50.0"]
    click_head(sorting, "%\npos.")
    assert [sorting.item(i, 2).text() for i in range(5)] == ["100.0", "50.0", "25.0", "–", "50.0"]
    click_head(sorting, "%\npos.")
    assert names(sorting) == drawn
    click_head(sorting, "Region\nrole")
    assert names(sorting) == ["none", "Region 2", "Region 2", "Region 10", "slide"]


@pytest.mark.parametrize("descending", [False, True])
def test_every_column_puts_every_row_in_one_place(descending):
    rules = ScoreRules(("percent", "allred", "pseudo-h-score", "density", "hot-spot"), 3)
    for rules_of_table in (PLAIN_GENE, rules, KI67):
        rows = scored(PARTS, VALUES, rules=rules_of_table).rows
        for column in columns_of(rules_of_table):
            order = sorted_rows(rows, column, descending)
            assert sorted(order) == list(range(5))
            assert order[-1] == 4
            assert all(isinstance(column.text(row), str) for row in rows)


def test_selection_stays_with_its_region(sorting, qtbot):
    told = []
    sorting.itemSelectionChanged.connect(lambda: told.append(sorting.selected))
    sorting.selectRow(3)
    assert told[-1] == "Region 2"
    click_head(sorting, "%\npos.")
    assert sorting.selectionModel().selectedRows()[0].row() == 1
    # another table of the same regions, as while a cut-off is dragged
    told.clear()
    sorting.set_table(scored(PARTS, [3.5] * 10, quick=True))
    assert sorting.item(sorting.selectionModel().selectedRows()[0].row(), 1).text() == "4"
    assert told == []
    sorting.set_table(scored(PARTS[:1], VALUES))
    assert sorting.selected == ""
    assert told == [""]


def test_a_double_click_tells_the_row_even_of_two_with_one_name(sorting, qtbot):
    with qtbot.waitSignal(sorting.chosen) as blocker:
        sorting.cellDoubleClicked.emit(3, 0)
    assert blocker.args == [3]
    click_head(sorting, "%\npos.")
    with qtbot.waitSignal(sorting.chosen) as blocker:
        sorting.cellDoubleClicked.emit(2, 0)
    assert blocker.args == [1]


def test_what_is_not_known_yet_is_no_former_interval(qtbot):
    rng = np.random.default_rng(0)
    centers = rng.uniform(0, 2000, (3000, 2))
    values = rng.normal(2, 1, 3000)
    counted = count_cells(centers, also_slide=True)
    table = RegionTable()
    qtbot.addWidget(table)
    table.set_table(score_counted(counted, values, CUTOFFS))
    assert "–" in table.item(0, SCORE).text()
    for rules in (PLAIN_GENE, KI67, ScoreRules(("percent",))):
        table.set_table(score_counted(counted, values, CUTOFFS, rules, quick=True))
        assert table.item(0, SCORE).text().split("\n")[-1] == "…"


def test_area_and_density_have_columns_where_they_are_told(sorting):
    assert heads(sorting)[-2:] == ["mm²", "cells\n/mm²"]
    last = sorting.columnCount() - 1
    assert sorting.item(4, last).text() == "20"
    assert "0.50 mm², 20 cells/mm², 10 positive/mm²" in sorting.item(4, 0).toolTip()
    assert "analysed tissue" in sorting.item(4, 0).toolTip()
    sorting.set_table(scored(PARTS, VALUES, rules=KI67))
    assert "mm²" not in heads(sorting)


def test_er_has_a_column_for_its_allred_score(sorting):
    sorting.set_table(scored(PARTS, VALUES, rules=ER))
    column = heads(sorting).index("Pseudo-\nAllred")
    # a quarter is positive: 3; 3+: 3
    assert sorting.item(0, column).text() == "6 (3 + 3)"
    assert sorting.item(2, column).text() == "–"


def test_column_has_room_for_numbers_far_below(qtbot):
    cells = [2] * 120 + [40_000]
    regions = [
        Region(f"A-{i + 1}", TUMOUR, shapely.box(10 * i, 0, 10 * i + 9, 9))
        for i in range(len(cells))
    ]
    centers_um = np.repeat([[10 * i + 4.0, 4.0] for i in range(len(cells))], cells, axis=0)
    table = RegionTable()
    qtbot.addWidget(table)
    table.set_table(score_table(np.zeros(len(centers_um)), centers_um, CUTOFFS, regions))
    assert table.item(120, 1).text() == "40000"
    assert table.columnWidth(1) > table.fontMetrics().horizontalAdvance("40000")

"""The table of regions: each marker with the score that it is reported by."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.plugin.region_table import HEADERS, RegionTable
from napari_past.stain import PLAIN_GENE, ScoreRules, score_table
from napari_past.types import TUMOUR, Cutoffs, Region

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
        last = len(HEADERS)
        assert table.columnCount() == last + 1
        item = table.item(0, last)
        return table.horizontalHeaderItem(last).text(), item.text(), item.toolTip()

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

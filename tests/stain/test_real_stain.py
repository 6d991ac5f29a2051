"""HER2, TPS and CPS of regions: told of a real stain alone, and what is missing is said."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from napari_past.genes import resolve
from napari_past.stain import rules_of, score_table
from napari_past.stain.dab import DAB_CUTOFFS
from napari_past.stain.measured import cutoffs_of, resolve_measured
from napari_past.stain.real_stain import NO_CPS, real_stain_lines
from napari_past.types import TUMOUR, Region

TUMOUR_REGION = Region("T", TUMOUR, shapely.box(-1, -1, 2000, 2000))


def row(name, values, tumour=True, cutoffs=DAB_CUTOFFS):
    values = np.array(values, np.float32)
    centers = np.column_stack([np.arange(len(values)), np.zeros(len(values))]).astype(float)
    regions = [TUMOUR_REGION] if tumour else []
    rules = rules_of(resolve_measured(name))
    return score_table(values, centers, cutoffs, regions, rules=rules).rows[0]


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ([3] * 11 + [0] * 89, "HER2 score 3+: 11 % of 100 cells reach it"),
        ([3] * 10 + [0] * 90, "HER2 score 0: at most 10 % of 100 cells are stained"),
        ([3] * 6 + [2] * 6 + [0] * 88, "HER2 score 2+: 12 % of 100 cells reach it"),
        ([1] * 50 + [0] * 50, "HER2 score 1+: 50 % of 100 cells reach it"),
        ([0] * 4, "HER2 score 0: at most 10 % of 4 cells are stained"),
        ([np.nan] * 4, "HER2 score: no membrane is seen"),
    ],
)
def test_her2_is_what_more_than_a_tenth_reach(classes, told):
    assert real_stain_lines(row("HER2", classes, cutoffs=cutoffs_of("HER2"))) == [told]


def test_her2_outside_of_tumour_says_so():
    (line,) = real_stain_lines(row("HER2", [3, 3, 0], False, cutoffs_of("HER2")))
    assert line == "HER2 score 3+: 67 % of 3 cells reach it (all cells; draw Tumour regions)"


def test_tps_counts_nuclei_in_tumour():
    tps, cps = real_stain_lines(row("PD-L1", [0.2] * 30 + [0.1] * 90))
    assert tps.startswith("TPS 25 % of 120 nuclei in Tumour")
    assert cps == NO_CPS


def test_tps_needs_tumour_and_enough_of_it():
    tps, _ = real_stain_lines(row("PD-L1", [0.5] * 120, tumour=False))
    assert tps == "TPS: draw Tumour regions, whose nuclei count as tumour cells"
    tps, _ = real_stain_lines(row("PD-L1", [0.5] * 99))
    assert tps == "TPS: insufficient: 99 viable tumour cells, at least 100 are needed."


def test_predictions_have_none_of_them():
    rules = rules_of(resolve("HER2", ["ERBB2"]))
    values = np.ones(5, np.float32)
    table = score_table(values, np.zeros((5, 2)), DAB_CUTOFFS, rules=rules)
    assert real_stain_lines(table.rows[0]) == []
    assert "on real stain only" in rules.sentence


def test_other_markers_have_none_either():
    assert real_stain_lines(row("ER", [0.5] * 5)) == []

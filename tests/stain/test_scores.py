import math

import numpy as np
import pytest
import shapely

from napari_past.stain import h_score, score_table
from napari_past.types import Cutoffs, Region

CUTOFFS = Cutoffs(1.0, 2.0, 3.0, "given")
FOUR = [0.5, 1.5, 2.5, 3.5]
"""One cell each of 0, 1+, 2+ and 3+."""
LINE = np.array([[10.0, 5], [20, 5], [30, 5], [40, 5]])


def box(x0, x1, role="Include", name="r"):
    return Region(name, role, shapely.box(x0, 0, x1, 10))


def test_one_cell_of_each_class_gives_150():
    table = score_table(FOUR, LINE, CUTOFFS)
    (row,) = table.rows
    assert (row.region, row.role) == ("slide", "All nuclei")
    assert (row.n, row.n0, row.n1, row.n2, row.n3) == (4, 1, 1, 1, 1)
    assert row.h_score == 150.0
    assert row.pct_positive == 75.0
    assert math.isnan(row.area_mm2)
    assert table.denominator == "all nuclei, not tumour-only"
    assert table.score_name == "pseudo-H-score"
    assert (table.excluded, table.without_class) == (0, 0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((4, 0, 0, 0), 0.0), ((0, 0, 0, 2), 300.0), ((1, 1, 1, 0), 100.0), ((1, 0, 0, 2), 200.0)],
)
def test_h_score_by_hand(counts, expected):
    assert h_score(counts) == expected


def test_no_cells_give_nan_and_an_explanation():
    (row,) = score_table([], np.zeros((0, 2)), CUTOFFS).rows
    assert row.n == 0
    assert all(math.isnan(v) for v in (row.h_score, row.pct_positive, row.lo, row.hi))
    assert row.explanation == "No cell with a class lies in slide, so it has no score."


def test_a_cell_without_a_value_is_not_counted_but_told():
    table = score_table([*FOUR, np.nan], np.vstack([LINE, [50, 5]]), CUTOFFS)
    assert table.rows[0].n == 4
    assert table.rows[0].h_score == 150.0
    assert table.without_class == 1


def test_overlapping_regions_both_count_a_shared_cell():
    regions = [box(5, 25, "Tumour", "a"), box(15, 45, "Tumour", "b")]
    table = score_table(FOUR, LINE, CUTOFFS, regions)
    assert [(r.region, r.n, r.h_score) for r in table.rows] == [("a", 2, 50.0), ("b", 3, 200.0)]
    assert table.rows[0].area_mm2 == pytest.approx(20 * 10 / 1e6)
    assert table.denominator == "nuclei in Tumour regions"


def test_a_mixture_of_roles_names_both_denominators():
    regions = [box(5, 25, "Tumour"), box(15, 45, "Include")]
    table = score_table(FOUR, LINE, CUTOFFS, regions)
    assert table.denominator == "nuclei in Tumour regions; all nuclei, not tumour-only"


def test_a_hole_is_outside():
    ring = shapely.box(0, 0, 100, 10).difference(shapely.box(15, 1, 35, 9))
    (row,) = score_table(FOUR, LINE, CUTOFFS, [Region("ring", "Include", ring)]).rows
    assert (row.n0, row.n1, row.n2, row.n3) == (1, 0, 0, 1)


def test_two_parts_are_one_region():
    parts = shapely.MultiPolygon([shapely.box(5, 0, 15, 10), shapely.box(35, 0, 45, 10)])
    (row,) = score_table(FOUR, LINE, CUTOFFS, [Region("parts", "Include", parts)]).rows
    assert row.h_score == 150.0
    assert row.n == 2


def test_ignored_wins_wherever_it_stands():
    tumour, fold = box(0, 35, "Tumour"), box(25, 100, "Ignore* (fold)", "fold")
    for regions in ([tumour, fold], [fold, tumour]):
        table = score_table(FOUR, LINE, CUTOFFS, regions)
        (row,) = table.rows
        assert (row.n, row.h_score) == (2, 50.0)
        assert row.area_mm2 == pytest.approx(25 * 10 / 1e6)
        assert table.excluded == 1, "the cell at 40 µm lies in no scored region"


def test_only_ignored_regions_leave_the_rest_of_the_slide():
    table = score_table(FOUR, LINE, CUTOFFS, [box(35, 45, "Ignore*")])
    assert [(r.region, r.n, r.h_score) for r in table.rows] == [("slide", 3, 100.0)]
    assert table.excluded == 1


def test_no_interval_under_ten_blocks():
    centers = np.array([[250.0 * i + 1, 1] for i in range(9)])
    (row,) = score_table(np.arange(9.0), centers, CUTOFFS).rows
    assert math.isnan(row.lo)
    assert math.isnan(row.hi)
    assert "fewer than 10 squares of 250 µm" in row.explanation
    ten = np.vstack([centers, [5000, 1]])
    (row,) = score_table(np.arange(10.0), ten, CUTOFFS).rows
    assert row.lo < row.h_score < row.hi
    assert row.explanation == ""


def test_interval_matches_a_loop_over_drawn_blocks():
    rng = np.random.default_rng(3)
    centers = rng.uniform(0, 3000, (4000, 2))
    values = 2 + np.sin(centers[:, 0] / 400) + rng.normal(0, 0.7, 4000)
    (row,) = score_table(values, centers, CUTOFFS).rows
    points = np.digitize(values, CUTOFFS.values)
    block = [tuple(b) for b in np.floor(centers / 250).astype(int)]
    by_block = {b: [] for b in block}
    for b, p in zip(block, points, strict=True):
        by_block[b].append(p)
    lists = list(by_block.values())
    draws = [
        100 * np.concatenate([lists[i] for i in rng.integers(0, len(lists), len(lists))]).mean()
        for _ in range(1000)
    ]
    assert (row.lo, row.hi) == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=2.0)
    assert row.hi - row.lo > 2 * 1.96 * 100 * points.std() / np.sqrt(4000), "wider than by cell"


def test_the_same_cells_give_the_same_interval_in_any_order():
    rng = np.random.default_rng(1)
    centers, values = rng.uniform(0, 2000, (500, 2)), rng.uniform(0, 4, 500)
    order = rng.permutation(500)
    assert score_table(values, centers, CUTOFFS).rows[0].lo == pytest.approx(
        score_table(values[order], centers[order], CUTOFFS).rows[0].lo, abs=1e-9
    )


@pytest.mark.parametrize(
    ("values", "centers", "message"),
    [
        (np.zeros((2, 1)), np.zeros((2, 2)), r"values \(n,\)"),
        (np.zeros(3), np.zeros((2, 2)), r"values \(n,\)"),
        (np.zeros(1), [[np.nan, 0]], "finite centre"),
    ],
    ids=["two-dimensional", "lengths", "nan-centre"],
)
def test_arrays_that_do_not_fit_are_refused(values, centers, message):
    with pytest.raises(ValueError, match=message):
        score_table(values, centers, CUTOFFS)


def test_cells_that_are_not_scored_are_outside_of_every_row_and_counted():
    table = score_table(FOUR, LINE, CUTOFFS, unscored=[True, False, False, True])
    (row,) = table.rows
    assert (row.n, row.n0, row.n1, row.n2, row.n3) == (2, 0, 1, 1, 0)
    assert table.unscored == 2
    assert table.unscored_cells == {}
    assert table.unscored_sentence == "not scored: 2 cells"
    assert (table.excluded, table.without_class) == (0, 0)


def test_reasons_and_areas_are_told():
    kinds = np.array(["", "pen", "blur", "blur"])
    areas = {"glass": 3.0, "blur": 0.123, "pen": 0.03, "fold": 0.0}
    table = score_table(FOUR, LINE, CUTOFFS, unscored=kinds, unscored_area_mm2=areas)
    assert table.unscored_cells == {"blur": 2, "pen": 1}
    assert table.unscored_area_mm2 == areas
    assert table.unscored_sentence == (
        "not scored: 3 cells (blur 2, pen 1); blur 0.12 mm², pen 0.03 mm²"
    )
    assert table.rows[0].n == 1


def test_only_cells_that_a_row_would_have_counted_are_unscored():
    regions = [box(5, 35, "Include", "a"), box(25, 32, "Ignore*", "b")]
    table = score_table(FOUR, LINE, CUTOFFS, regions, unscored=[False, True, True, True])
    assert [(r.region, r.n) for r in table.rows] == [("a", 1)]
    assert (table.excluded, table.unscored) == (1, 1)


def test_a_cell_without_a_value_that_is_not_scored_is_told_once():
    table = score_table([np.nan, 1.5], LINE[:2], CUTOFFS, unscored=[True, False])
    assert (table.without_class, table.unscored) == (0, 1)


def test_all_scored_is_as_if_nothing_was_said():
    plain = score_table(FOUR, LINE, CUTOFFS)
    for unscored in (np.zeros(4, bool), np.array([""] * 4)):
        table = score_table(FOUR, LINE, CUTOFFS, unscored=unscored)
        assert table.unscored == 0
        assert table.unscored_sentence == ""
        assert table.rows[0].h_score == plain.rows[0].h_score


@pytest.mark.parametrize("unscored", [[True], np.zeros(4), np.zeros((4, 1), bool)])
def test_what_does_not_tell_which_cells_is_refused(unscored):
    with pytest.raises(ValueError, match="not scored"):
        score_table(FOUR, LINE, CUTOFFS, unscored=unscored)

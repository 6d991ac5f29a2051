import math

import numpy as np
import pytest
import shapely

from napari_past.stain import ScoreRules, count_cells, h_score, score_counted, score_table
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


def test_a_region_in_another_counts_in_both_and_each_row_tells_its_own():
    outer, inner = box(5, 45, "Tumour", "outer"), box(15, 35, "Include", "inner")
    table = score_table(
        [0.5, np.nan, 2.5, 3.5], LINE, CUTOFFS, [outer, inner, box(38, 60, "Ignore*")]
    )
    told = [(r.region, r.n, r.excluded, r.without_class, r.denominator) for r in table.rows]
    assert told == [
        ("outer", 2, 1, 1, "nuclei in Tumour regions"),
        ("inner", 1, 0, 1, "all nuclei, not tumour-only"),
    ]
    assert [r.area_mm2 for r in table.rows] == pytest.approx([330e-6, 200e-6])
    assert (table.excluded, table.without_class) == (1, 1), "a cell of two rows is told once"


def test_a_region_in_the_hole_of_another_is_not_its_part():
    ring = shapely.box(0, 0, 100, 10).difference(shapely.box(15, 1, 35, 9))
    regions = [Region("ring", "Tumour", ring), box(15, 35, "Tumour", "island")]
    assert [(r.region, r.n) for r in score_table(FOUR, LINE, CUTOFFS, regions).rows] == [
        ("ring", 2),
        ("island", 2),
    ]


def test_ignored_regions_that_overlap_count_once():
    folds = [box(25, 45, "Ignore*", "a"), box(28, 60, "Ignore* (pen)", "b"), box(38, 42, "Ignore*")]
    (row,) = score_table(FOUR, LINE, CUTOFFS, [box(0, 100, "Tumour"), *folds]).rows
    assert (row.n, row.excluded) == (2, 2)
    assert row.area_mm2 == pytest.approx((100 - 35) * 10 / 1e6)


def test_a_region_that_is_ignored_whole_has_no_cells_and_no_area():
    (row,) = score_table(FOUR, LINE, CUTOFFS, [box(5, 45), box(0, 50, "Ignore*")]).rows
    assert (row.n, row.excluded, row.area_mm2) == (0, 4, 0.0)
    assert math.isnan(row.density_mm2)


def test_two_regions_of_one_name_are_two_rows():
    table = score_table(FOUR, LINE, CUTOFFS, [box(5, 15, name="a"), box(25, 45, name="a")])
    assert [(r.region, r.n) for r in table.rows] == [("a", 1), ("a", 2)]


def test_of_a_line_across_itself_the_loops_count():
    bow = shapely.Polygon([(0, 0), (30, 30), (30, 0), (0, 10)])  # crosses itself at (7.5, 7.5)
    centers = [[1, 5], [7, 1], [29, 5], [7, 12]]  # in the loops and between them
    (row,) = score_table(FOUR, centers, CUTOFFS, [Region("bow", "Include", bow)]).rows
    assert (row.n0, row.n1, row.n2, row.n3) == (1, 0, 1, 0)
    assert row.area_mm2 == pytest.approx((10 * 7.5 / 2 + 30 * 22.5 / 2) / 1e6)


def test_the_whole_slide_may_have_a_row_too():
    counted = count_cells(
        LINE, [box(5, 25, "Tumour", "a"), box(38, 45, "Ignore*")], also_slide=True
    )
    table = score_counted(counted, FOUR, CUTOFFS)
    assert [(r.region, r.n, r.excluded) for r in table.rows] == [("a", 2, 0), ("slide", 3, 1)]
    assert table.excluded == 1


def test_densities_by_hand():
    square = Region("mm", "Tumour", shapely.box(0, 0, 1000, 2000))
    (row,) = score_table(FOUR, LINE, CUTOFFS, [square]).rows
    assert (row.area_mm2, row.density_mm2, row.positive_mm2) == (2.0, 2.0, 1.5)


def test_what_is_not_scored_is_left_out_of_the_area():
    regions = [
        Region("mm", "Tumour", shapely.box(0, 0, 1000, 2000)),
        Region("far", "Tumour", shapely.box(5000, 0, 6000, 1000)),
        Region("fold", "Ignore*", shapely.box(0, 400, 1000, 600)),
    ]
    away = shapely.box(0, 0, 1000, 500)
    rows = score_table(
        FOUR, LINE, CUTOFFS, regions, unscored=[False, True, False, False],
        unscored_within=lambda polygon_um: polygon_um.intersection(away).area / 1e6,
    ).rows  # fmt: skip
    # what is ignored and not scored is not subtracted twice
    assert [row.area_mm2 for row in rows] == pytest.approx([1.4, 1.0])
    assert rows[0].density_mm2 == pytest.approx(3 / 1.4)
    assert "not scored" not in rows[0].explanation


def test_an_area_of_which_nobody_tells_what_is_scored_is_unknown():
    regions = [box(0, 100, "Tumour", "a"), box(25, 100, "Tumour", "b")]
    a, b = score_table(FOUR, LINE, CUTOFFS, regions, unscored=[True, False, False, False]).rows
    assert math.isnan(a.area_mm2)
    assert math.isnan(a.density_mm2)
    assert "Part of a is not scored" in a.explanation
    assert b.area_mm2 > 0
    assert "not scored" not in b.explanation


@pytest.mark.parametrize(("n3", "text"), [(1, "1"), (3, "2"), (0, "0")])
def test_the_h_score_is_shown_as_a_whole_number(n3, text):
    values = [0.0] * (600 - n3) + [3.0] * n3  # 0.5 a cell
    (row,) = score_table(values, np.zeros((600, 2)), CUTOFFS).rows
    assert row.h_score == pytest.approx(n3 / 2)
    assert row.h_score_text == text


def test_quick_leaves_out_intervals_and_hot_spots_alone():
    rng = np.random.default_rng(0)
    centers, values = rng.uniform(0, 2000, (4000, 2)), rng.uniform(0, 4, 4000)
    counted = count_cells(centers)
    rules = ScoreRules(scores=("percent", "hot-spot"))
    whole = score_counted(counted, values, CUTOFFS, rules).rows[0]
    quick = score_counted(counted, values, CUTOFFS, rules, quick=True).rows[0]
    assert (quick.n, quick.n3, quick.h_score) == (whole.n, whole.n3, whole.h_score)
    assert whole.lo < whole.h_score < whole.hi
    assert whole.pct_lo < whole.pct_positive < whole.pct_hi
    assert whole.hot_spot.pct_positive > whole.pct_positive
    assert math.isnan(quick.lo)
    assert quick.hot_spot is None
    assert quick.explanation == "", "nothing is missing that was asked for"


def test_values_of_other_cells_are_refused():
    with pytest.raises(ValueError, match="value of each of 4 cells"):
        score_counted(count_cells(LINE), [1.0, 2.0], CUTOFFS)


def test_only_ignored_regions_leave_the_rest_of_the_slide():
    table = score_table(FOUR, LINE, CUTOFFS, [box(35, 45, "Ignore*")])
    assert [(r.region, r.n, r.h_score) for r in table.rows] == [("slide", 3, 100.0)]
    assert table.excluded == 1


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

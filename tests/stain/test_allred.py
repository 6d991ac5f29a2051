import pytest

from napari_past.stain import Allred, allred


@pytest.mark.parametrize(
    ("positive", "of", "proportion"),
    [
        (0, 10, 0),
        (1, 100_000, 1),
        (1, 100, 1),
        (2, 100, 2),
        (10, 100, 2),
        (101, 1000, 3),
        (333, 1000, 3),
        (1, 3, 4),
        (667, 1000, 4),
        (668, 1000, 5),
        (5, 5, 5),
    ],
)
def test_the_proportion_score_steps_above_0_1_10_33_and_67_percent(positive, of, proportion):
    assert allred((of - positive, positive, 0, 0)).proportion == proportion


@pytest.mark.parametrize(
    ("counts", "intensity"),
    [
        ((9, 1, 0, 0), 1),
        ((0, 1, 2, 0), 1),  # 5/3 is not above 5/3
        ((0, 33, 67, 0), 2),
        ((0, 0, 2, 1), 2),  # nor 7/3 above 7/3
        ((0, 0, 66, 34), 3),
        ((99, 0, 0, 1), 3),
    ],
)
def test_the_intensity_score_follows_the_mean_class_of_positive_cells(counts, intensity):
    assert allred(counts).intensity == intensity


def test_totals():
    assert allred((7, 0, 0, 0)) == Allred(0, 0)
    assert allred((7, 0, 0, 0)).total == 0
    assert allred((999, 1, 0, 0)).total == 2, "there is no 1"
    assert allred((0, 0, 0, 1)).total == 8
    assert allred((1, 1, 1, 1)) == Allred(5, 2)
    assert allred((0, 0, 0, 0)) is None
